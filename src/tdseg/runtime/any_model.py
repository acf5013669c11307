"""Whatever is given as a model, as a Network."""

from __future__ import annotations

from typing import TypeAlias, cast

from tdseg.errors import ConfigError
from tdseg.models.tdnet import TDNet
from tdseg.runtime.external.function import Function, FunctionNetwork
from tdseg.runtime.network import Network
from tdseg.runtime.torch import TorchNetwork

AnyModel: TypeAlias = TDNet | Network | Function
"""A model that is not a name or a path."""


def as_network(model: AnyModel) -> Network:
    """A model as a Network, as it is: a Network itself, a function as a network of others.

    Raises:
        ConfigError: something else.
    """
    if isinstance(model, TDNet):
        return TorchNetwork(model)
    if hasattr(model, "advance"):
        return cast(Network, model)
    if callable(model):
        return FunctionNetwork(model)
    raise ConfigError(
        f"a model of type {type(model).__name__}",
        expected="a TDNet, what tdseg.load gives, or a function from a frame to its class scores",
        do="load a name or file with tdseg.load",
    )
