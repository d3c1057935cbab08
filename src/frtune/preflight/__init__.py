"""A whole run in about a minute: on a miniature of its model, with its data and its arguments."""
