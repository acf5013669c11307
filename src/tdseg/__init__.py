"""tdseg: fast, stateful video semantic segmentation with Temporally Distributed Networks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tdseg.config import ModelConfig
    from tdseg.errors import ConfigError, DataError, OutputError, TdsegError, VideoError, WeightsError
    from tdseg.loading import load
    from tdseg.memory import add_memory
    from tdseg.models.state import FrameMemory, MotionMemory, TDNetState
    from tdseg.models.subnets import SubFeature, SubNetwork
    from tdseg.models.tdnet import ClipOutput, TDNet
    from tdseg.pipeline import segment, segment_to
    from tdseg.stream import Result, Stream
    from tdseg.zoo import create_model, distribute, list_models, save

__version__ = "0.1.0"

_HOME = {
    "ClipOutput": "tdseg.models.tdnet",
    "ConfigError": "tdseg.errors",
    "DataError": "tdseg.errors",
    "FrameMemory": "tdseg.models.state",
    "ModelConfig": "tdseg.config",
    "MotionMemory": "tdseg.models.state",
    "OutputError": "tdseg.errors",
    "Result": "tdseg.stream",
    "Stream": "tdseg.stream",
    "SubFeature": "tdseg.models.subnets",
    "SubNetwork": "tdseg.models.subnets",
    "TDNet": "tdseg.models.tdnet",
    "TDNetState": "tdseg.models.state",
    "TdsegError": "tdseg.errors",
    "VideoError": "tdseg.errors",
    "WeightsError": "tdseg.errors",
    "add_memory": "tdseg.memory",
    "create_model": "tdseg.zoo",
    "distribute": "tdseg.zoo",
    "list_models": "tdseg.zoo",
    "load": "tdseg.loading",
    "save": "tdseg.zoo",
    "segment": "tdseg.pipeline",
    "segment_to": "tdseg.pipeline",
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
