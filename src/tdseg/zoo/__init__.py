"""Models by name: architectures, packaged weights, files, and how they are loaded."""
