"""Sub-networks: what one path computes of one frame, image -> sub-feature z."""

from __future__ import annotations

from collections.abc import Callable

from tdseg.models.subnets.base import SubFeature, SubNetwork
from tdseg.models.subnets.lite import LiteSubNetwork

SUBNETS: dict[str, Callable[[], SubNetwork]] = {"lite0": LiteSubNetwork}

__all__ = ["SUBNETS", "LiteSubNetwork", "SubFeature", "SubNetwork"]
