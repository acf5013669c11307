"""The worth of models and masks: accuracy, steadiness, speed, and how two of them compare."""
