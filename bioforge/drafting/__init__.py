"""Drafts into texts worth publishing: steered, cleaned, checked for copying, ranked by a judge."""
