"""Named tensors, compared."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def mismatches(theirs: Mapping[str, Tensor], ours: Mapping[str, Tensor]) -> dict[str, str]:
    """How named tensors differ from those of a model in name and shape, in words by name, sorted; empty if they fit.

    Args:
        theirs: of a file.
        ours: of the model; on any device, "meta" among them.
    """
    wrong = {}
    for name in sorted(theirs.keys() | ours.keys()):
        if name not in theirs:
            wrong[name] = f"{name} missing"
        elif name not in ours:
            wrong[name] = f"{name} unknown"
        elif theirs[name].shape != ours[name].shape:
            wrong[name] = f"{name} {tuple(theirs[name].shape)} instead of {tuple(ours[name].shape)}"
    return wrong
