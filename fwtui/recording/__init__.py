"""What is on disk: the vocabulary, the event log, the run folder. Standard library only, Python 3.9+."""
