"""tdseg: fast, stateful video semantic segmentation with Temporally Distributed Networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tdseg.config import ModelConfig
    from tdseg.errors import ConfigError, DataError, OutputError, TdsegError, VideoError, WeightsError, WorkerError
    from tdseg.inference.distribution import Distribution
    from tdseg.inference.many import segment_all
    from tdseg.inference.pipeline import segment, segment_to
    from tdseg.inference.stream import Result, Stream
    from tdseg.masks.appearance import Appearance
    from tdseg.models.propagation import TDNetState
    from tdseg.models.subnets import SubFeature, SubNetwork
    from tdseg.models.tdnet import ClipOutput, TDNet
    from tdseg.runtime.network import Execution
    from tdseg.system import __version__ as __version__
    from tdseg.video.excerpt import Excerpt
    from tdseg.zoo.add_memory import add_memory
    from tdseg.zoo.catalog import create_model, distribute, list_models
    from tdseg.zoo.checkpoint import save
    from tdseg.zoo.load import load

_HOME = {
    name: f"tdseg.{module}"
    for module, names in {
        "config": ("ModelConfig",),
        "errors": (
            "ConfigError",
            "DataError",
            "OutputError",
            "TdsegError",
            "VideoError",
            "WeightsError",
            "WorkerError",
        ),
        "inference.distribution": ("Distribution",),
        "inference.many": ("segment_all",),
        "inference.pipeline": ("segment", "segment_to"),
        "inference.stream": ("Result", "Stream"),
        "masks.appearance": ("Appearance",),
        "models.propagation": ("TDNetState",),
        "models.subnets": ("SubFeature", "SubNetwork"),
        "models.tdnet": ("ClipOutput", "TDNet"),
        "runtime.network": ("Execution",),
        "system": ("__version__",),
        "video.excerpt": ("Excerpt",),
        "zoo.add_memory": ("add_memory",),
        "zoo.catalog": ("create_model", "distribute", "list_models"),
        "zoo.checkpoint": ("save",),
        "zoo.load": ("load",),
    }.items()
    for name in names
}

__all__ = [
    "Appearance",
    "ClipOutput",
    "ConfigError",
    "DataError",
    "Distribution",
    "Excerpt",
    "Execution",
    "ModelConfig",
    "OutputError",
    "Result",
    "Stream",
    "SubFeature",
    "SubNetwork",
    "TDNet",
    "TDNetState",
    "TdsegError",
    "VideoError",
    "WeightsError",
    "WorkerError",
    "add_memory",
    "create_model",
    "distribute",
    "list_models",
    "load",
    "save",
    "segment",
    "segment_all",
    "segment_to",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that importing tdseg costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'tdseg' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
