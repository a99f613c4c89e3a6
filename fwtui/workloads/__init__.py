"""What built-in lanes train."""
