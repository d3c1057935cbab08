"""One local page from a file to a model in use."""
