"""The interface of the engines that run exported graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tdseg.runtime.network import RuntimeName

Arrays = list[NDArray[np.generic]]


class Engine(Protocol):
    """The graph of a folder, loaded in a runtime. Any thread may run it."""

    name: RuntimeName
    where: str
    """Of what it computes on, as it calls it."""

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> Arrays:
        """The outputs of the graph for its inputs, both in the manifest's order, in memory of their own."""


class Parts(NamedTuple):
    """A graph in two, for frames that are encoded ahead of their turn."""

    encode: Engine
    """From the image to the tensors that the manifest calls encoded."""
    merge: Engine
    """From those and the state to the outputs of the graph."""
