"""A frame as text, JSON, CSV, markdown, HTML or a trace."""
