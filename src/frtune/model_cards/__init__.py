"""The README.md of a model directory: front matter for the hub, and lines that were run."""
