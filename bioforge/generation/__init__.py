"""Writing texts with a causal language model."""
