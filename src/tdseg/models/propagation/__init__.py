"""How a frame is brought together with what was seen before it."""

from typing import Any

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.propagation.attention import AttentionPropagation
from tdseg.models.propagation.base import PerFrame, Propagation, StateTensor, TDNetState
from tdseg.models.propagation.consensus import ConsensusPropagation
from tdseg.models.propagation.motion import MotionPropagation

PROPAGATIONS: dict[str, type[Propagation[Any]]] = {
    "attention": AttentionPropagation,
    "motion": MotionPropagation,
    "consensus": ConsensusPropagation,
}
"""Kinds of propagation by their name in a ModelConfig."""

__all__ = ["PROPAGATIONS", "Propagation", "StateTensor", "TDNetState", "kind_of"]


def kind_of(config: ModelConfig) -> type[Propagation[Any]]:
    """The kind of propagation of a model; that of a per-frame model does nothing.

    Raises:
        ConfigError: the configuration names an unknown one.
    """
    if config.propagation not in PROPAGATIONS:
        raise ConfigError(
            f"propagation={config.propagation!r} for {config.name}",
            expected=" or ".join(PROPAGATIONS),
            do="choose one of them",
        )
    return PROPAGATIONS[config.propagation] if config.paths > 1 else PerFrame
