"""Export of a finished model to a graph for ONNX Runtime."""
