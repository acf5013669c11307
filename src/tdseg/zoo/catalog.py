"""Names: architectures, packaged weights, class lists and palettes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.backbones import resnet
from tdseg.models.subnets import FAMILIES, SubNetwork
from tdseg.models.tdnet import TDNet

_WEIGHTS = Path(__file__).parents[1] / "weights"
_LISTED = ("td4-psp18", "td2-psp50", "td2-fa18", "td4-bise18", "td2-bise34", "td4-lite0", "td2-lite0", "td4-lite0s")
"""The TDNets that are listed; td2 … td16 of any family can be had."""


class Packaged(NamedTuple):
    """A checkpoint that is part of the distribution."""

    architecture: str
    """Name of its architecture."""
    path: Path
    """Where its file is installed, beside its card of the same name."""
    sha256: str
    licence: str
    data: str
    miou: str
    """Headline score, with its protocol."""
    graph: Path | None = None
    """Folder of the same model as an int8 graph of any size, if there is one."""


def _camvid(architecture: str, sha256: str, miou: str, *, graph: bool = False) -> tuple[str, Packaged]:
    """Name and checkpoint of a model trained on CamVid train."""
    name = f"{architecture}-camvid"
    return name, Packaged(
        architecture=architecture,
        path=_WEIGHTS / f"{name}.safetensors",
        sha256=sha256,
        licence="research, non-commercial",
        data="CamVid train",
        miou=f"{miou} CamVid test, still",
        graph=_WEIGHTS / f"{name}-int8" if graph else None,
    )


PACKAGED: dict[str, Packaged] = dict(
    (
        _camvid("lite0", "c4c824a641a99a4203f2783256a21958a1a7eaa576daa436b3fa288b8af0c04d", "63.4"),
        _camvid("lite0s", "4c07f75d7e75e32566026b127d555dfbce49f0ff74eae19ee9aed45add176c95", "62.9"),
        _camvid("td4-lite0", "2b95c6acd7916ecd84d05394f9208484a6f2a8be6ba89c55651135162a589a14", "63.4", graph=True),
        _camvid("td6-lite0s", "17574cf140307dfc6e525801a5205476b33330de25e75a39b8edf79bf85e2fae", "63.8", graph=True),
    )
)


def architectures() -> list[str]:
    """Names of the models that `create_model` lists; m of a name tdM-FAMILY may be any of 2 … 16."""
    return sorted((*FAMILIES, *_LISTED))


def list_models() -> list[str]:
    """Names of all architectures, then of all packaged weights."""
    return architectures() + sorted(PACKAGED)


def is_architecture(name: str) -> bool:
    """Whether `create_model` knows the name."""
    return _split(name)[1] in FAMILIES


def model_config(name: str, **overrides: Any) -> ModelConfig:
    """Configuration of an architecture, with fields overridden.

    Args:
        name: of a family, such as "psp18", for its per-frame model; "tdM-FAMILY" for its TDNet of M paths.

    Raises:
        ConfigError: an unknown name (the nearest ones are offered), or a field that does not fit.
    """
    if not is_architecture(name):
        raise unknown_model(name, architectures(), "an architecture")
    if fixed := overrides.keys() & {"name", "subnet", "paths"}:
        raise ConfigError(
            f"{', '.join(sorted(fixed))} for model {name!r}, whose name says it",
            expected="other fields of ModelConfig",
            do="name the model you want, such as td2-psp18 for two paths of psp18",
        )
    paths, kind = _split(name)
    family = FAMILIES[kind]
    values = {"name": name, "subnet": kind, "paths": paths, **family.both}
    return ModelConfig.parse({**values, **(family.temporal if paths > 1 else {}), **overrides}, where=f"model {name!r}")


def create_model(name: str, **overrides: Any) -> TDNet:
    """An untrained model in eval mode.

    Args:
        name: an architecture of `list_models()`, or tdM-FAMILY with another number of paths.
        overrides: any field of ModelConfig, such as num_classes=19, memory_stride=2 or weight_sets=None.
    """
    return TDNet(model_config(name, **overrides)).eval()


def distribute(
    make_subnetwork: Callable[[], SubNetwork], *, paths: int = 4, num_classes: int, **overrides: Any
) -> TDNet:
    """A TDNet of a sub-network of your own, untrained and in eval mode.

    Args:
        make_subnetwork: makes one; called for every path. It turns normalised images (B, 3, H, W) into z (B, channels,
            ceil(H / stride), ceil(W / stride)), or into a SubFeature of z and a mid-level feature, and declares
            `channels` and `stride`; see `tdseg.SubNetwork`.
        paths: m.
        num_classes: C.
        overrides: any other field of ModelConfig. Images are normalised as for ImageNet, size is 480×480, the norm has
            no spatial affine.

    Raises:
        ConfigError: a field that does not fit, or a sub-network without channels and stride.
    """
    values = {
        "name": f"td{paths}-custom",
        "subnet": "custom",
        "paths": paths,
        "num_classes": num_classes,
        "size": (480, 480),
        "mean": resnet.MEAN,
        "std": resnet.STD,
        "norm": "instance",
        **overrides,
    }
    config = ModelConfig.parse(values, where="distribute")
    return TDNet(config, make=make_subnetwork).eval()


def _split(name: str) -> tuple[int, str]:
    """Number of paths and family of a name."""
    match = re.fullmatch(r"td([2-9]|1[0-6])-(.+)", name)
    return (int(match[1]), match[2]) if match else (1, name)


NETWORKS = "a file or folder of weights, an exported folder, an ONNX file, a model of Hugging Face as its folder or hf://org/name"
"""What a network can be given as, beside a name."""


def unknown_model(name: str, known: list[str], what: str) -> ConfigError:
    """The error for a name that is none of `known`, with the nearest ones; `what` says what was expected."""
    if name in architectures() and name not in known:
        return ConfigError(
            f"model {name}, an architecture: no trained weights of it come with tdseg",
            expected=f"{what}: {', '.join(known)}",
            do="train or convert weights and give their file, or choose a model that `tdseg models` lists with a mIoU",
        )
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "see tdseg models"
    return ConfigError(f"unknown model {name!r}", expected=f"{what}: {', '.join(known)}", do=hint)
