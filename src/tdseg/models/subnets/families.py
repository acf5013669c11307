"""Every kind of sub-network, by name: how it is made, and what goes with it in a ModelConfig."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from tdseg.errors import ConfigError
from tdseg.models.backbones import efficientnet_lite, resnet
from tdseg.models.subnets.base import SubNetwork
from tdseg.models.subnets.bisenet import BiSeSubNetwork
from tdseg.models.subnets.fanet import FASubNetwork
from tdseg.models.subnets.lite import LiteSubNetwork
from tdseg.models.subnets.pspnet import PSPSubNetwork


class Family(NamedTuple):
    """A kind of sub-network. A new one is one file, and one entry in FAMILIES."""

    make: Callable[..., SubNetwork]
    """Makes one; where `grouped`, given group=, the part of the channels to keep, and groups=, their number."""
    both: dict[str, Any]
    """Fields of the per-frame model that its TDNets have too."""
    temporal: dict[str, Any]
    """Fields that a TDNet adds or changes."""
    grouped: bool = False
    """Paths can keep groups of its channels."""


_RESNET = {"mean": resnet.MEAN, "std": resnet.STD, "num_classes": 19}  # Cityscapes
_PSP = {**_RESNET, "size": (769, 1537), "head": "conv", "head_channels": 512}
_PSP_TEMPORAL = {"groups": 2, "d_v": 512, "norm": "instance", "head_channels": 256}
_BISE = {**_RESNET, "size": (769, 1537), "head": "conv", "head_channels": 64}
_BISE_TEMPORAL = {"d_v": 256, "norm": "instance"}
_FA = {**_RESNET, "size": (768, 1536), "head": "leaky", "head_channels": 256}
_LITE = {
    "mean": efficientnet_lite.MEAN,
    "std": efficientnet_lite.STD,
    "num_classes": 11,  # CamVid
    "size": (360, 480),
    "head_upscale": 2,
}
_LITE_TEMPORAL = {"d_k": 32, "d_v": 128, "weight_sets": 1, "propagation": "consensus"}

FAMILIES: dict[str, Family] = {
    "psp18": Family(
        partial(PSPSubNetwork, 18),
        _PSP | {"head_channels": 128},
        _PSP_TEMPORAL | {"head_channels": 128},
        grouped=True,
    ),
    "psp50": Family(partial(PSPSubNetwork, 50), _PSP, _PSP_TEMPORAL, grouped=True),
    "psp101": Family(partial(PSPSubNetwork, 101), _PSP, _PSP_TEMPORAL, grouped=True),
    "bise18": Family(partial(BiSeSubNetwork, 18), _BISE, _BISE_TEMPORAL),
    "bise34": Family(partial(BiSeSubNetwork, 34), _BISE, _BISE_TEMPORAL),
    "fa18": Family(FASubNetwork, _FA, {"d_v": 256, "norm": "instance"}),
    "lite0": Family(LiteSubNetwork, _LITE, _LITE_TEMPORAL),
    "lite2": Family(partial(LiteSubNetwork, 2), _LITE, _LITE_TEMPORAL),
    "lite0s": Family(
        partial(LiteSubNetwork, channels=64, short=True),
        _LITE | {"head_channels": 64},
        _LITE_TEMPORAL | {"d_v": 64},
    ),
}


def make_subnetwork(kind: str, group: int, groups: int) -> SubNetwork:
    """The sub-network of a ModelConfig's `subnet`; the `group`-th of `groups` parts of it, where it can be parted.

    Raises:
        ConfigError: an unknown kind, or groups of one that has none.
    """
    if kind not in FAMILIES:
        raise ConfigError(f"subnet={kind!r}", expected=f"{', '.join(FAMILIES)} or custom", do="choose one of them")
    family = FAMILIES[kind]
    if family.grouped:
        return family.make(group=group, groups=groups)
    if groups > 1:
        raise ConfigError(
            f"groups={groups} with subnet={kind!r}",
            expected=f"groups of {', '.join(name for name, other in FAMILIES.items() if other.grouped)} only",
            do="leave groups out",
        )
    return family.make()
