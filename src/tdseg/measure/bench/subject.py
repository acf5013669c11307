"""The network that is measured: how it is opened, what it costs, and how far it is from the plain model."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from tdseg.errors import ConfigError
from tdseg.measure import cost
from tdseg.measure.deviation import Deviation, deviation
from tdseg.models.subnets import FAMILIES
from tdseg.models.tdnet import TDNet
from tdseg.runtime.any_model import AnyModel
from tdseg.runtime.exported import ExportedNetwork
from tdseg.runtime.external import is_external
from tdseg.runtime.manifest import Parity, is_exported
from tdseg.runtime.network import Execution, Network
from tdseg.runtime.torch import TorchNetwork
from tdseg.zoo import catalog
from tdseg.zoo.load import load, prepare


def open_network(
    model: str | Path | AnyModel,
    memory: int | None,
    execution: Execution,
    streams: int,
    size: tuple[int, int] | None,
    frame: tuple[int, int] | None = None,
) -> Network:
    """A network as `prepare` gives it: in torch, if it is ours and there are several streams or the weights are random.

    Raises:
        ConfigError: another runtime than that was asked for; and as `prepare`.
    """
    if isinstance(model, str | Path) and (is_random(model) or streams > 1) and not is_external(Path(model)):
        if execution.runtime not in ("auto", "torch") or is_exported(Path(model)):
            raise ConfigError(
                f"{model} in {execution.runtime} with several streams or random weights",
                expected="trained or exported weights, and one stream",
                do="use --runtime torch, or leave the other options out",
            )
        execution = replace(execution, runtime="torch")
    return prepare(_torch_model(model) if is_random(model) else model, execution, memory=memory, size=size, frame=frame)


def is_random(model: str | Path | AnyModel) -> TypeGuard[str | Path]:
    """Whether it is an architecture, which gets random weights."""
    return isinstance(model, str | Path) and catalog.is_architecture(str(model))


def _torch_model(model: str | Path | TDNet) -> TDNet:
    """A model; an architecture gets random weights, the same each time."""
    if isinstance(model, TDNet):
        return model
    if not is_random(model):
        return load(model)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        return catalog.create_model(str(model))


def deviation_of(model: str | Path | AnyModel, network: Network, clip: Iterable[Tensor]) -> dict[str, float] | None:
    """Of the outputs on a clip from those of the plain model; of an exported one, as its export found it.

    Args:
        model: that the network was made of.
        network: without a memory on the host.
        clip: uint8 (B, 3, h, w) each, RGB.
    """
    found: Deviation | Parity | None = None
    if isinstance(network, ExportedNetwork):
        found = network.manifest.parity
    elif isinstance(network, TorchNetwork) and network.form != "plain" and isinstance(model, str | Path | TDNet):
        plain = TorchNetwork(_torch_model(model), Execution(network.device, fuse=False, channels_last=False))
        found = deviation(plain, network, clip)
    if found is None:
        return None
    return {"max_relative_error": found.max_relative_error, "agreement": found.agreement}


def costs(network: Network, size: tuple[int, int]) -> dict[str, Any]:
    """The figures of a `Benchmark` that are counted: of ours by the configuration, of networks of others what is known.

    Args:
        network: without a memory on the host, whose own cost is not counted.
        size: (height, width) of the input, pixels.
    """
    known, work, works = getattr(network, "parameters", None), None, None
    each = known and (known,)
    if model := _counted(network):
        known, each = cost.parameters(model), cost.parameters_per_path(model)
        works = cost.multiply_adds(model, size)
        work = round(statistics.fmean(works))
    elif work := cost.run_multiply_adds(network, size):
        works = (work,)
    return {
        "parameters": known,
        "parameters_per_path": each,
        "multiply_adds_per_frame": work,
        "multiply_adds_per_path": works,
    }


def _counted(network: Network) -> TDNet | None:
    """The model of a network of ours, on the meta device where its configuration says all of it."""
    if network.config.subnet in FAMILIES:
        with torch.device("meta"):
            return TDNet(network.config)
    return network.model if isinstance(network, TorchNetwork) else None
