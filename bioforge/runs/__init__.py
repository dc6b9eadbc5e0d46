"""A run's folder: its recipe, its typed events, its control file. What front ends and workers share."""
