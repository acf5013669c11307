"""tdseg: fast, stateful video semantic segmentation with Temporally Distributed Networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tdseg.system import __version__ as __version__

if TYPE_CHECKING:
    from tdseg.config import ModelConfig
    from tdseg.errors import ConfigError, DataError, OutputError, TdsegError, VideoError, WeightsError
    from tdseg.inference.pipeline import segment, segment_to
    from tdseg.inference.stream import Result, Stream
    from tdseg.models.propagation.state import FrameMemory, MotionMemory, TDNetState
    from tdseg.models.subnets import SubFeature, SubNetwork
    from tdseg.models.tdnet import ClipOutput, TDNet
    from tdseg.zoo.add_memory import add_memory
    from tdseg.zoo.catalog import create_model, distribute, list_models, save
    from tdseg.zoo.load import load

_HOME = {
    "ClipOutput": "tdseg.models.tdnet",
    "ConfigError": "tdseg.errors",
    "DataError": "tdseg.errors",
    "FrameMemory": "tdseg.models.propagation.state",
    "ModelConfig": "tdseg.config",
    "MotionMemory": "tdseg.models.propagation.state",
    "OutputError": "tdseg.errors",
    "Result": "tdseg.inference.stream",
    "Stream": "tdseg.inference.stream",
    "SubFeature": "tdseg.models.subnets",
    "SubNetwork": "tdseg.models.subnets",
    "TDNet": "tdseg.models.tdnet",
    "TDNetState": "tdseg.models.propagation.state",
    "TdsegError": "tdseg.errors",
    "VideoError": "tdseg.errors",
    "WeightsError": "tdseg.errors",
    "add_memory": "tdseg.zoo.add_memory",
    "create_model": "tdseg.zoo.catalog",
    "distribute": "tdseg.zoo.catalog",
    "list_models": "tdseg.zoo.catalog",
    "load": "tdseg.zoo.load",
    "save": "tdseg.zoo.catalog",
    "segment": "tdseg.inference.pipeline",
    "segment_to": "tdseg.inference.pipeline",
}

__all__ = [
    "ClipOutput",
    "ConfigError",
    "DataError",
    "FrameMemory",
    "ModelConfig",
    "MotionMemory",
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
    "add_memory",
    "create_model",
    "distribute",
    "list_models",
    "load",
    "save",
    "segment",
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
