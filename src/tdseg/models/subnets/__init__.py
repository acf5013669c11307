"""Sub-networks: what one path computes of one frame, image -> sub-feature z."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tdseg.models.subnets.base import SubFeature, SubNetwork
from tdseg.models.subnets.bisenet import BiSeSubNetwork
from tdseg.models.subnets.fanet import FASubNetwork
from tdseg.models.subnets.lite import LiteSubNetwork
from tdseg.models.subnets.pspnet import PSPSubNetwork

_GROUPED: dict[str, Callable[..., SubNetwork]] = {
    "psp18": partial(PSPSubNetwork, 18),
    "psp50": partial(PSPSubNetwork, 50),
    "psp101": partial(PSPSubNetwork, 101),
}
_WHOLE: dict[str, Callable[[], SubNetwork]] = {
    "bise18": partial(BiSeSubNetwork, 18),
    "bise34": partial(BiSeSubNetwork, 34),
    "fa18": FASubNetwork,
    "lite0": LiteSubNetwork,
    "lite2": partial(LiteSubNetwork, 2),
}


def make_subnetwork(kind: str, group: int, groups: int) -> SubNetwork:
    """The sub-network of a ModelConfig's `subnet`; of the PSP kinds, the `group`-th of `groups` parts."""
    return _GROUPED[kind](group=group, groups=groups) if kind in _GROUPED else _WHOLE[kind]()


__all__ = ["SubFeature", "SubNetwork", "make_subnetwork"]
