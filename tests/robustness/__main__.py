"""Attacks on the command: PYTHONPATH=tests python -m robustness [inputs|kills|pairs|layouts|networks] --help."""

from __future__ import annotations

import sys
from importlib import import_module

ATTACKS = {
    "inputs": "damaged and hostile inputs of every kind; the default",
    "kills": "runs that are killed while they put a result in the place of a former one",
    "pairs": "two runs into one folder",
    "layouts": "--overwrite where files of others are",
    "networks": "servers that break off, stay silent, or are none",
}
"""Each is a module here, whose `main` takes arguments, and gives 0 if nothing went wrong."""


def main() -> int:
    """0 if nothing went wrong."""
    name, *rest = sys.argv[1:] or ["inputs"]
    if name not in ATTACKS:
        name, rest = "inputs", sys.argv[1:]
    if rest in (["-h"], ["--help"]) and name == "inputs":
        print(__doc__, *(f"  {one:8} {text}" for one, text in ATTACKS.items()), sep="\n", end="\n\n")
    code: int = import_module(f"robustness.{name}").main(rest)
    return code


if __name__ == "__main__":
    sys.exit(main())
