"""Measuring writers and judges."""
