"""Damaged and hostile inputs, every one through the command: `PYTHONPATH=tests python -m robustness --help`."""
