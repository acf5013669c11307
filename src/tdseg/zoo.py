"""Names: architectures, packaged weights, class lists and palettes."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, NamedTuple

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.backbones import efficientnet_lite
from tdseg.models.tdnet import TDNet
from tdseg.weights import WEIGHTS_DIR, read_model

CAMVID_CLASSES = (
    "Sky",
    "Building",
    "Pole",
    "Road",
    "Pavement",
    "Tree",
    "SignSymbol",
    "Fence",
    "Car",
    "Pedestrian",
    "Bicyclist",
)
CAMVID_PALETTE = (
    (70, 130, 180),
    (122, 112, 108),
    (220, 190, 90),
    (128, 64, 128),
    (244, 35, 232),
    (87, 142, 45),
    (250, 220, 0),
    (190, 120, 100),
    (30, 60, 200),
    (220, 20, 60),
    (255, 120, 30),
)

_LITE = {
    "subnet": "lite0",
    "size": (360, 480),
    "mean": efficientnet_lite.MEAN,
    "std": efficientnet_lite.STD,
    "d_v": 128,
    "head_upscale": 2,
}
_MODELS: dict[str, dict[str, Any]] = {
    "lite0": {**_LITE, "paths": 1},
    "td2-lite0": {**_LITE, "paths": 2, "shared_paths": True, "warmup": "full"},
    "td4-lite0": {**_LITE, "paths": 4, "shared_paths": True, "warmup": "full"},
}


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

    @property
    def path(self) -> Path:
        """Where the file is installed."""
        return WEIGHTS_DIR / self.file


_RESEARCH = "research, non-commercial"
PACKAGED: dict[str, Packaged] = {
    "lite0-camvid": Packaged(
        architecture="lite0",
        file="lite0-camvid.safetensors",
        sha256="ff6909e3f0f1f07d8eb4325c333526e840afc68e0af2843f66e0e3f8672f1077",
        licence=_RESEARCH,
        data="CamVid train",
        miou="62.1 CamVid test, still",
    ),
    "td4-lite0-camvid": Packaged(
        architecture="td4-lite0",
        file="td4-lite0-camvid.safetensors",
        sha256="a8f80a5c7af32005b61243fe7cff124c15ae29f71d564ea4a78b49d1afd2cb3c",
        licence=_RESEARCH,
        data="CamVid train, synthetic",
        miou="61.3 CamVid test, still",
    ),
}


def list_models() -> list[str]:
    """Names of all architectures, then of all packaged weights."""
    return sorted(_MODELS) + sorted(PACKAGED)


def model_config(name: str, **overrides: Any) -> ModelConfig:
    """Configuration of an architecture, with fields overridden.

    Raises:
        ConfigError: an unknown name (the nearest ones are offered), or a field that does not fit.
    """
    if name not in _MODELS:
        raise _unknown(name, sorted(_MODELS), "an architecture")
    values = {"name": name, "num_classes": len(CAMVID_CLASSES), **_MODELS[name], **overrides}
    config: ModelConfig = ModelConfig.parse(values, where=f"model {name!r}")
    return config


def create_model(name: str, **overrides: Any) -> TDNet:
    """An untrained model in eval mode.

    Args:
        name: an architecture of `list_models()`.
        overrides: any field of ModelConfig, such as num_classes=19 or memory_stride=2.
    """
    return TDNet(model_config(name, **overrides)).eval()


def load(name_or_path: str | Path, device: str = "cpu") -> TDNet:
    """A trained model in eval mode.

    Args:
        name_or_path: a packaged name of `list_models()`, or a .safetensors file that tdseg wrote.
        device: "cpu", "cuda", "cuda:1", …

    Raises:
        ConfigError: an unknown name.
        WeightsError: a file that is damaged, of another program, or not safe to open.
    """
    entry = PACKAGED.get(str(name_or_path))
    path = entry.path if entry else Path(name_or_path)
    if entry is None and not path.suffix and not path.exists():
        raise _unknown(str(name_or_path), sorted(PACKAGED), "packaged weights or a .safetensors file")
    return read_model(path, sha256=entry.sha256 if entry else None).to(device)


def _unknown(name: str, known: list[str], what: str) -> ConfigError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else "see tdseg models"
    return ConfigError(f"unknown model {name!r}", expected=f"{what}: {', '.join(known)}", do=hint)
