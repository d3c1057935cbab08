"""``report.html`` of a run: curves, scores, the worst and best rows, lengths, generation health."""
