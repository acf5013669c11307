"""CUDA graphs played on the CPU, so that what surrounds them is tested without a GPU.

A recording keeps every operation with the very tensors it read and wrote; a replay computes it anew into those, as a
GPU does. So a result that was not copied out is overwritten, and an argument that was not copied in goes unseen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recording(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Stands for torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = operation(*args, **(kwargs or {}))
        self.operations.append((operation, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for operation, args, kwargs, out in self.operations:
            again = operation(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(again), strict=True):
                if isinstance(old, Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


@contextmanager
def graph(recording: Recording, *_: object, **__: object) -> Iterator[None]:
    """Stands for torch.cuda.graph."""
    with recording:
        yield


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the stand-ins in the place of torch's."""
    stand_ins = {"CUDAGraph": Recording, "graph": graph, "device": nullcontext, "stream": nullcontext}
    for name in ("Stream", "Event", "current_stream", "graph_pool_handle"):
        stand_ins[name] = MagicMock()
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
