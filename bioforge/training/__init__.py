"""The training loop and the worker process around it."""
