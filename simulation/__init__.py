"""Scripted people with ground truth (imports engines.taxonomy only)."""
