"""Live sources: the newest frame of many, and a server that shows them."""
