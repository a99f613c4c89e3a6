"""Opens a run folder and folds it into frames: frame(run folder, time)."""
