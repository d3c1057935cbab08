"""What a run will need before it starts: parameters, activations, memory, and what fits."""
