"""The HTTP API by which saved models answer, many requests at once."""
