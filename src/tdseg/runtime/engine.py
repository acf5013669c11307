"""The interface of the engines that run exported graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tdseg.runtime.network import RuntimeName

Arrays = list[NDArray[np.generic]]


class GraphTensor(NamedTuple):
    """An input or output of a graph, as its runtime tells."""

    name: str
    dtype: str
    """As numpy calls it, where numpy has it."""
    shape: tuple[int | None, ...] | None
    """None for a dimension that may differ, and for all of a shape that is not known before it runs."""


class Engine(Protocol):
    """The graph of a folder, loaded in a runtime. Any thread may run it."""

    name: RuntimeName
    where: str
    """Of what it computes on, as it calls it."""
    inputs: tuple[GraphTensor, ...]
    outputs: tuple[GraphTensor, ...]

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """The outputs of the graph for its inputs, both in the manifest's order, in memory of their own."""


class Parts(NamedTuple):
    """A graph in two, for frames that are encoded ahead of their turn."""

    encode: Engine
    """From the image to the tensors that the manifest calls encoded."""
    merge: Engine
    """From those and the state to the outputs of the graph."""
