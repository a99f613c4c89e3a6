"""Inside a lane's process: hooks that note events and nothing else. Standard library and `recording` only."""
