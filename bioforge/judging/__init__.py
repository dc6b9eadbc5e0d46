"""Judging sentences."""
