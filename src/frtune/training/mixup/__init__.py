"""More training rows than there are: rows mixed from pairs of rows."""
