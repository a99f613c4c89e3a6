"""The commands, a file each: `add_arguments(parser)` and `main(arguments) -> exit code`."""
