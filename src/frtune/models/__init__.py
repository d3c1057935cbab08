"""Model families, the one road that builds them, and tiny checkpoints of each."""
