"""How a frame is brought together with what was seen before it."""
