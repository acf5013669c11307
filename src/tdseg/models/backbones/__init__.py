"""Image classification networks, cut to give features at several strides."""
