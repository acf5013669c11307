"""Attacks on the command and its results: `PYTHONPATH=tests python -m robustness --help`."""
