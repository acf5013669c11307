"""The engines of networks: torch, ONNX Runtime, OpenVINO, behind one interface."""
