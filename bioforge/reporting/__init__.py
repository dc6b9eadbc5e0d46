"""A run as a person reads it in a terminal: live, as tables, as curves."""
