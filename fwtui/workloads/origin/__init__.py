"""Two scripts as they are found in articles that compare PyTorch with Keras: not the same work. See each one."""
