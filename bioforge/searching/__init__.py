"""Searching for a recipe: many short runs, the poor ones stopped early."""
