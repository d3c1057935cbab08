"""All runs below a folder, in one table."""
