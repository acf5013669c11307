"""What runs a network: torch, ONNX Runtime, OpenVINO, behind one interface."""
