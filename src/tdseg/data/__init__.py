"""Data sets, each yielding Clips, and the transforms that run on batches of them."""
