"""What a row is and what a model learns from it: one file per task."""
