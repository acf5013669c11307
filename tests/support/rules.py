"""How a test says that the tree breaks a rule."""

from __future__ import annotations

from collections.abc import Iterable

import pytest


def refuse(rule: str, broken: Iterable[object]) -> None:
    """Fail with the rule, and a line for each thing that breaks it."""
    lines = dict.fromkeys(f"  {thing}" for thing in broken)
    if lines:
        pytest.fail("\n".join([f"{rule}:", *lines]), pytrace=False)
