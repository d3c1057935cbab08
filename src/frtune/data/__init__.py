"""Reading, cleaning, auditing and splitting data."""
