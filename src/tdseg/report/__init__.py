"""Pages that show what was measured: one HTML file each, which needs nothing else, on the network or on the disk."""
