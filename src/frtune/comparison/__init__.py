"""Saved models side by side."""
