"""From the name of a model to its files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tdseg.errors import ConfigError
from tdseg.files.publishing import settle
from tdseg.models.subnets import SubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.runtime.external import is_external
from tdseg.runtime.manifest import is_exported
from tdseg.zoo.catalog import NETWORKS, PACKAGED, unknown_model
from tdseg.zoo.checkpoint import WEIGHTS, read_model
from tdseg.zoo.hub import HUB, fetch


class Artifact(NamedTuple):
    """The files that a name stands for: weights, a graph, or both."""

    name: str
    """As it was given."""
    weights: Path | None
    """A file of weights."""
    graph: Path | None
    """An exported folder."""
    sha256: str | None = None
    """Of the weights, where it is known."""
    external: Path | None = None
    """A network of others: a folder of Hugging Face, an ONNX file, or a folder with such a one."""

    def load(self, make_subnetwork: Callable[[], SubNetwork] | None = None) -> TDNet:
        """The model of the weights, in eval mode, on the CPU.

        Raises:
            ConfigError: there are none, but a graph.
            WeightsError: the file is damaged, of another program, or not safe to open.
        """
        if self.external:
            raise ConfigError(
                f"{self.name}, a network of others, as a TDNet",
                expected="weights of tdseg",
                do="use it where networks run: segment, eval, bench, compare, export, or as the teacher of a recipe",
            )
        if self.weights is None:
            raise ConfigError(
                f"{self.name}, an exported folder, as a model of torch",
                expected="weights; a graph runs in ONNX Runtime or OpenVINO",
                do='load it with runtime="auto", or give the weights it was exported from',
            )
        return read_model(self.weights, sha256=self.sha256, make=make_subnetwork)


def resolve(name_or_path: str | Path) -> Artifact:
    """The files that a packaged name, a path or an address of the Hugging Face hub stands for.

    Raises:
        ConfigError: an unknown name.
        WeightsError: the hub has no such repository or revision, or cannot be reached.
        OutputError: a run puts its result there at this moment.
    """
    name = str(name_or_path)
    if entry := PACKAGED.get(name):
        return Artifact(name, entry.path, entry.graph, entry.sha256)
    path = fetch(name) if name.startswith(HUB) else Path(name)
    settle(path)
    if is_exported(path):
        return Artifact(name, None, path)
    if is_external(path):
        return Artifact(name, None, None, external=path)
    if os.path.isfile(path / WEIGHTS):
        return Artifact(name, path / WEIGHTS, None)
    if not path.suffix and not os.path.isfile(path):
        raise unknown_model(name, sorted(PACKAGED), f"{NETWORKS}, or one of these names")
    return Artifact(name, path, None)
