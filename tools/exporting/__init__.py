"""From a trained Cell to a verified ONNX file with a privacy card."""
