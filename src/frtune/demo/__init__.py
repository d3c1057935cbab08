"""The local page on which saved models answer."""
