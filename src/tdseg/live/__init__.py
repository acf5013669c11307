"""Live: sources that never end, break off and come back, and many of them on one network."""
