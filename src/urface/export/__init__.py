"""A model as one ONNX file that runs without urface, and without torch."""
