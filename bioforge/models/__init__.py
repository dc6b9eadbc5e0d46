"""Bases to start from, and the store of trained models."""
