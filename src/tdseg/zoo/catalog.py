"""Names: architectures, packaged weights, class lists and palettes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.masks.classes import CAMVID_CLASSES, CITYSCAPES_CLASSES
from tdseg.models.backbones import efficientnet_lite, resnet
from tdseg.models.subnets import SubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.system import resolve_device
from tdseg.zoo.checkpoint import WEIGHTS_DIR, read_model, write_model

WEIGHTS = "model.safetensors"
"""The file of the trained model in the folder of a run."""


class Family(NamedTuple):
    """A sub-network with what goes with it in a ModelConfig."""

    both: dict[str, Any]
    """Fields of the per-frame model that its TDNets have too."""
    temporal: dict[str, Any]
    """Fields that a TDNet adds or changes."""


_RESNET = {"mean": resnet.MEAN, "std": resnet.STD, "num_classes": len(CITYSCAPES_CLASSES)}
_PSP = {**_RESNET, "size": (769, 1537), "head": "conv"}
_PSP_TEMPORAL = {"groups": 2, "d_v": 512, "norm": "instance"}
_BISE = {**_RESNET, "size": (769, 1537), "head": "conv", "head_channels": 64}
_BISE_TEMPORAL = {"d_v": 256, "norm": "instance"}
_LITE = {
    "mean": efficientnet_lite.MEAN,
    "std": efficientnet_lite.STD,
    "num_classes": len(CAMVID_CLASSES),
    "size": (360, 480),
    "head_upscale": 2,
}
_LITE_TEMPORAL = {"d_k": 32, "d_v": 128, "shared_paths": True, "propagation": "motion"}
_FAMILIES: dict[str, Family] = {
    "psp18": Family({**_PSP, "head_channels": 128}, _PSP_TEMPORAL),
    "psp50": Family({**_PSP, "head_channels": 512}, {**_PSP_TEMPORAL, "head_channels": 256}),
    "psp101": Family({**_PSP, "head_channels": 512}, {**_PSP_TEMPORAL, "head_channels": 256}),
    "bise18": Family(_BISE, _BISE_TEMPORAL),
    "bise34": Family(_BISE, _BISE_TEMPORAL),
    "fa18": Family(
        {**_RESNET, "size": (768, 1536), "head": "leaky", "head_channels": 256}, {"d_v": 256, "norm": "instance"}
    ),
    "lite0": Family(_LITE, _LITE_TEMPORAL),
    "lite2": Family(_LITE, _LITE_TEMPORAL),
}
_PUBLISHED = ("td4-psp18", "td2-psp50", "td2-fa18", "td4-bise18", "td2-bise34", "td4-lite0", "td2-lite0")
"""The TDNets that are listed; td2 … td16 of any family can be had."""


class Packaged(NamedTuple):
    """A checkpoint that is part of the distribution."""

    architecture: str
    """Name of its architecture."""
    file: str
    """Name in tdseg/weights, beside its card of the same name."""
    sha256: str
    licence: str
    data: str
    miou: str
    """Headline score, with its protocol."""
    folder: str = ""
    """Name in tdseg/weights of the same model as an int8 graph of any size, if there is one."""

    @property
    def path(self) -> Path:
        """Where the file is installed."""
        return WEIGHTS_DIR / self.file

    @property
    def graph(self) -> Path | None:
        """Where the folder of the graph is installed."""
        return WEIGHTS_DIR / self.folder if self.folder else None


_RESEARCH = "research, non-commercial"
PACKAGED: dict[str, Packaged] = {
    "lite0-camvid": Packaged(
        architecture="lite0",
        file="lite0-camvid.safetensors",
        sha256="c4c824a641a99a4203f2783256a21958a1a7eaa576daa436b3fa288b8af0c04d",
        licence=_RESEARCH,
        data="CamVid train",
        miou="63.4 CamVid test, still",
    ),
    "td4-lite0-camvid": Packaged(
        architecture="td4-lite0",
        file="td4-lite0-camvid.safetensors",
        folder="td4-lite0-camvid-int8",
        sha256="4a8aad1543d3d3b600aae19d2ce834974c8249a3adf2f476c19d329f9f52059c",
        licence=_RESEARCH,
        data="CamVid train",
        miou="63.4 CamVid test, still",
    ),
}


def architectures() -> list[str]:
    """Names of the models that `create_model` lists; m of a name tdM-FAMILY may be any of 2 … 16."""
    return sorted((*_FAMILIES, *_PUBLISHED))


def list_models() -> list[str]:
    """Names of all architectures, then of all packaged weights."""
    return architectures() + sorted(PACKAGED)


def save(model: TDNet, path: str | Path) -> None:
    """Write a model as one .safetensors file, float32, that `load` opens. Auxiliary heads are left out.

    Raises:
        ConfigError: a fused model.
        OutputError: the file cannot be written.
    """
    write_model(model, Path(path), dtype=torch.float32, about={})


def is_architecture(name: str) -> bool:
    """Whether `create_model` knows the name."""
    return _split(name)[1] in _FAMILIES


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
    family = _FAMILIES[kind]
    values = {"name": name, "subnet": kind, "paths": paths, **family.both}
    config: ModelConfig = ModelConfig.parse(
        {**values, **(family.temporal if paths > 1 else {}), **overrides}, where=f"model {name!r}"
    )
    return config


def create_model(name: str, **overrides: Any) -> TDNet:
    """An untrained model in eval mode.

    Args:
        name: an architecture of `list_models()`, or tdM-FAMILY with another number of paths.
        overrides: any field of ModelConfig, such as num_classes=19, memory_stride=2 or shared_paths=False.
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
    config: ModelConfig = ModelConfig.parse(values, where="distribute")
    return TDNet(config, make=make_subnetwork).eval()


def load(
    name_or_path: str | Path, device: str = "cpu", *, make_subnetwork: Callable[[], SubNetwork] | None = None
) -> TDNet:
    """A trained model in eval mode.

    Args:
        name_or_path: a packaged name of `list_models()`, a .safetensors file that tdseg wrote, or a folder that holds
            model.safetensors.
        device: "cpu", "cuda", "cuda:1", … or "auto": cuda if there is one.
        make_subnetwork: for a model of `distribute`, the function given to it: files hold no code.

    Raises:
        ConfigError: an unknown name or device, or make_subnetwork for a model that needs none.
        WeightsError: a file that is damaged, of another program, or not safe to open.
    """
    entry = PACKAGED.get(str(name_or_path))
    path, sha256 = find(name_or_path), entry.sha256 if entry else None
    return read_model(path, sha256=sha256, make=make_subnetwork).to(resolve_device(device))


def find(name_or_path: str | Path) -> Path:
    """The file of packaged weights, of a folder that holds model.safetensors, or the file that is given.

    Raises:
        ConfigError: an unknown name.
    """
    if entry := PACKAGED.get(str(name_or_path)):
        return entry.path
    path = Path(name_or_path)
    if (path / WEIGHTS).is_file():
        return path / WEIGHTS
    if not path.suffix and not path.is_file():
        raise unknown_model(str(name_or_path), sorted(PACKAGED), "packaged weights, or a file or folder of weights")
    return path


def _split(name: str) -> tuple[int, str]:
    """Number of paths and family of a name."""
    match = re.fullmatch(r"td([2-9]|1[0-6])-(.+)", name)
    return (int(match[1]), match[2]) if match else (1, name)


def unknown_model(name: str, known: list[str], what: str) -> ConfigError:
    """The error for a name that is none of `known`, with the nearest ones; `what` says what was expected."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "see tdseg models"
    return ConfigError(f"unknown model {name!r}", expected=f"{what}: {', '.join(known)}", do=hint)
