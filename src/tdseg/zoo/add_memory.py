"""Memory for per-frame models, without training."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, overload

from tdseg.config import FrameView, ModelConfig
from tdseg.errors import ConfigError
from tdseg.models.tdnet import TDNet
from tdseg.runtime.any_model import AnyModel, as_network
from tdseg.runtime.external.function import Function
from tdseg.runtime.memory import RememberingNetwork
from tdseg.runtime.network import Network
from tdseg.zoo.checkpoint import mismatches


@overload
def add_memory(
    model: TDNet | Sequence[TDNet],
    *,
    frames: int = 4,
    views: Sequence[FrameView | Mapping[str, float]] = (),
    motion: Literal["matching", "dis"] | None = None,
) -> TDNet: ...
@overload
def add_memory(
    model: Network | Function, *, frames: int = 4, motion: Literal["matching", "dis"] | None = None
) -> Network: ...
def add_memory(
    model: AnyModel | Sequence[TDNet],
    *,
    frames: int = 4,
    views: Sequence[FrameView | Mapping[str, float]] = (),
    motion: Literal["matching", "dis"] | None = None,
) -> TDNet | Network:
    """A network whose masks are the consensus of the last frames, each as a per-frame network sees it.

    Class scores are carried along the motion of the picture, and every frame has one vote: masks get steadier and, as a
    rule, more accurate. Nothing is trained. Several models take turns, as views do: what they would gain together on
    every frame is mostly kept, at the cost of one, and they do not flicker against each other.

    Args:
        model: a per-frame TDNet, or several of one architecture and the same classes, that take turns; left as they
            are. Or another per-frame network that `tdseg.load` gave, of ours or of others; or a function from a frame,
            uint8 (H, W, 3), to class scores, floats (C, h, w).
        frames: in the window, 2 … 16, a multiple of the number of models and of views; the paths of the TDNet.
        views: how a TDNet sees the frames, in turn, such as `[{"zoom": 1.25}, {"mirror": True}]`; none: as they are.
        motion: where it comes from: matching of blocks, in every runtime, or OpenCV's DIS flow, which is faster on the
            host, and in no graph. None: matching for a TDNet, for others what is fastest.

    Returns:
        Of TDNets a TDNet in eval mode, on the CPU; else a network for Streams, in the runtime of the one given.

    Raises:
        ConfigError: a model that has a memory, or is fused; models that differ in more than their weights; views of
            other networks; a number out of range.
    """
    if frames < 2:
        raise ConfigError(f"add_memory with frames={frames}", expected="2 … 16", do="give it frames to remember")
    if isinstance(model, str | Path):
        raise ConfigError(
            f"add_memory({str(model)!r})",
            expected="a model, not its name",
            do=f'load it first: tdseg.add_memory(tdseg.load("{model}"))',
        )
    if not isinstance(model, TDNet | Sequence):
        if views:
            raise ConfigError("views of a network that is no TDNet", expected="none", do="leave views out")
        return RememberingNetwork(as_network(model), frames, motion)
    models = [model] if isinstance(model, TDNet) else list(model)
    if odd := [one for one in models if not isinstance(one, TDNet)]:
        raise ConfigError(
            f"add_memory to several models, one a {type(odd[0]).__name__}",
            expected="TDNets, as tdseg.load and create_model give them",
            do="give a network of others alone",
        )
    known = _architecture(models)
    config = ModelConfig.parse(
        known.model_dump()
        | {
            "name": f"td{frames}-{known.name}",
            "paths": frames,
            "weight_sets": len(models),
            "views": views,
            "propagation": "consensus",
            "motion": motion or "matching",
        },
        where=f"add_memory with frames={frames}",
    )
    own = models[0].path(0).subnet if known.subnet == "custom" else None
    remembering = TDNet(config, make=None if own is None else lambda: copy.deepcopy(own)).eval()
    for index, source in enumerate(models):
        path, weights = remembering.path(index), source.path(0).state_dict()
        weights = {key: value for key, value in weights.items() if not key.startswith("aux_head.")}
        if mismatches(weights, path.state_dict()):
            raise ConfigError(
                "add_memory to a fused model", expected="the model it was made of", do="call fuse() afterwards"
            )
        path.load_state_dict(weights)
    return remembering


def _architecture(models: Sequence[TDNet]) -> ModelConfig:
    """What the models have in common: all but their weights."""
    for model in models:
        if model.config.paths > 1:
            raise ConfigError(
                f"add_memory to {model.config.name}",
                expected="a per-frame model of list_models()",
                do="choose such a model",
            )
    if not models or any(model.config != models[0].config for model in models):
        raise ConfigError(
            f"add_memory to {', '.join(model.config.name for model in models) or 'no model'}",
            expected="one model, or several of one architecture, with the same classes and size",
            do="leave the others out, or train one of them again",
        )
    return models[0].config
