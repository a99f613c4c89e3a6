"""Pure functions: events → steps → phases → statistics → findings → comparison. No clock, no files, no UI."""
