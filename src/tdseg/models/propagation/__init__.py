"""How a frame is brought together with what was seen before it."""

from typing import Any

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.propagation.attention import AttentionPropagation
from tdseg.models.propagation.base import PerFrame, Propagation, StateTensor, TDNetState
from tdseg.models.propagation.consensus import ConsensusPropagation

PROPAGATIONS: dict[str, type[Propagation[Any]]] = {"attention": AttentionPropagation, "consensus": ConsensusPropagation}
"""Kinds of propagation by their name in a ModelConfig."""

__all__ = ["PROPAGATIONS", "Propagation", "StateTensor", "TDNetState", "kind_of"]


def kind_of(config: ModelConfig) -> type[Propagation[Any]]:
    """The kind of propagation of a model; that of a per-frame model does nothing.

    Raises:
        ConfigError: the configuration names an unknown one, or views of one that merges features.
    """
    if config.propagation not in PROPAGATIONS:
        raise ConfigError(
            f"propagation={config.propagation!r} for {config.name}",
            expected=" or ".join(PROPAGATIONS),
            do="choose one of them",
        )
    kind = PROPAGATIONS[config.propagation] if config.paths > 1 else PerFrame
    if config.views and not kind.after_head:
        raise ConfigError(
            f"{len(config.views)} views for {config.name} with {config.paths} paths and {config.propagation}",
            expected="paths of 2 or more whose class scores are merged: propagation='consensus'",
            do="leave views out, or choose that",
        )
    return kind
