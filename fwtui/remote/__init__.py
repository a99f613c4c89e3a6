"""A run's folder sent elsewhere, as it grows: over a pipe, over the user's own ssh, or into one file."""
