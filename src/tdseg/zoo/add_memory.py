"""Memory for a per-frame model, without training."""

from __future__ import annotations

import torch
from torch import nn

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.propagation.motion import MotionEncoder
from tdseg.models.tdnet import TDNet

_KEY_CHANNELS = 32


def add_memory(model: TDNet, *, frames: int = 4) -> TDNet:
    """A TDNet that sees each frame as `model` does, and averages its features along the motion between frames.

    Nothing is trained: values are the features themselves, keys a fixed random projection of them. Masks get steadier,
    the more the longer the memory; what is thin and moves may get coarser. On a still picture nothing changes.

    Args:
        model: a per-frame model; left as it is.
        frames: that a mean stands for at most, 2 … 16; the paths of the TDNet, all with the weights of `model`.

    Returns:
        A TDNet in eval mode, on the CPU.

    Raises:
        ConfigError: a model that has a memory, is fused, or has a sub-network of its own; a number out of range.
    """
    known = model.config
    if known.paths > 1 or known.subnet == "custom":
        raise ConfigError(
            f"add_memory to {known.name}", expected="a per-frame model of list_models()", do="choose such a model"
        )
    source = model.path(0)
    config = ModelConfig.parse(
        known.model_dump()
        | {
            "name": f"td{frames}-{known.name}",
            "paths": frames,
            "shared_paths": True,
            "propagation": "motion",
            "d_k": _KEY_CHANNELS,
            "d_v": source.subnet.channels,
        },
        where=f"add_memory with frames={frames}",
    )
    remembering = TDNet(config).eval()
    path = remembering.path(0)
    assert isinstance(path.encoder, MotionEncoder)
    missing, _ = path.load_state_dict(source.state_dict(), strict=False)
    if not all(key.startswith(("encoder.", "propagation.")) for key in missing):
        raise ConfigError(
            "add_memory to a fused model", expected="the model it was made of", do="call fuse() afterwards"
        )
    with torch.no_grad():
        nn.init.orthogonal_(path.encoder.key.weight, generator=torch.Generator().manual_seed(0))
        path.propagation.start_from_features(path.encoder)
    return remembering
