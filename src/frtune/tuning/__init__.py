"""A search of training settings: its space, trials, what they gained, and the page."""
