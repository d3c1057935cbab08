"""Scores: pure functions on lists, without torch."""
