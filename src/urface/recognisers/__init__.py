"""Any model that turns aligned faces into features: ours, InsightFace's, ONNX, or a file of them."""
