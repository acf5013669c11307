"""How a frame is brought together with what was seen before it."""

from typing import Any

from tdseg.models.propagation.attention import AttentionPropagation
from tdseg.models.propagation.base import PerFrame, Propagation, StateTensor, TDNetState
from tdseg.models.propagation.motion import MotionPropagation

PROPAGATIONS: dict[str, type[Propagation[Any]]] = {"attention": AttentionPropagation, "motion": MotionPropagation}
"""Kinds of propagation by their name in a ModelConfig."""

__all__ = ["PROPAGATIONS", "PerFrame", "Propagation", "StateTensor", "TDNetState"]
