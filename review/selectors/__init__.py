"""Reads of review, each with its permission filter inside."""
