"""Training: recipe in, checkpoints and a packaged model out."""
