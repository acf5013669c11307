"""What models and masks are worth: accuracy, steadiness, speed, and how two of them compare."""
