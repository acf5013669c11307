"""Where every tensor of a model comes from in a checkpoint of the official TDNet code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from tdseg.config import ModelConfig
from tdseg.models.backbones.resnet import LAYOUTS

LEFT = (
    "*.num_batches_tracked",
    "auxlayer*",
    "head_aux*",
    "teacher.*",
    "pretrained.fc.*",
    "pretrained[1-4].fc.*",
    "ffm_32*.smooth.*",
    "ffm_8*.smooth.*",
    "ffm_4*.up.*",
)
"""Keys knowingly left: auxiliary heads, the teacher, ImageNet classifiers, and layers of FANet that nothing reads."""
_ATTENTION = (("query", "w_qs"), ("key", "w_ks"), ("value", "w_vs"), ("lateral", "latlayer3"))
_LEVELS = 4
_NORM = ("weight", "bias", "running_mean", "running_var")


class Channels(NamedTuple):
    """Channels `first` … `first + size - 1` of the `of` that a tensor has along an axis."""

    axis: int
    first: int
    size: int
    of: int


class Entry(NamedTuple):
    """Where one of our tensors, or a part of it, comes from."""

    ours: str
    theirs: str
    part: Channels | None = None
    """What is kept of their tensor; None: all."""
    place: int | None = None
    """Our first channel that it becomes, along the same axis; None: it becomes all of ours."""
    pointwise: bool = False
    """A 1x1 convolution there, a linear layer here."""

    def shape(self, ours: Tensor) -> torch.Size:
        """Shape of their tensor, given ours."""
        shape = list(ours.shape)
        if self.part:
            shape[self.part.axis] = self.part.of
        return torch.Size(shape + [1, 1] * self.pointwise)

    def put(self, theirs: Tensor, ours: Tensor) -> None:
        """Copy what is kept of their tensor to its place in ours."""
        if self.part:
            axis, first, size, _ = self.part
            theirs = theirs.narrow(axis, first, size)
            ours = ours if self.place is None else ours.narrow(axis, self.place, size)
        ours.copy_(theirs.reshape(ours.shape))


def key_table(config: ModelConfig, pyramids: int = 1) -> Iterator[Entry]:
    """Where every tensor of a model comes from in a checkpoint of the official code.

    Args:
        config: of the model.
        pyramids: of the official teacher, a PSPNet cut into so many groups of channels; 1: of any other checkpoint.
    """
    for path in range(config.paths):
        ours, n = f"paths.{path}", str(path + 1) if config.paths > 1 else ""
        if config.subnet == "fa18":
            yield from _fanet(f"{ours}.subnet", n)
            yield from _conv_norm(f"{ours}.head.hidden", f"head{n}.conv.conv", f"head{n}.conv.bn")
            yield Entry(f"{ours}.head.classify.weight", f"head{n}.conv_out.weight")
        elif pyramids > 1:
            yield from _teacher(ours, config, pyramids)
        else:
            yield from _pspnet(f"{ours}.subnet", config, path, n)
            conv, norm, last = (f"head{n}.conv5.{i}" for i in ((0, 1, 4) if n else (1, 2, 5)))
            yield from _conv_norm(f"{ours}.head.hidden", conv, norm)
            yield from _layer(f"{ours}.head.classify", last)
        if config.paths > 1:
            yield from _temporal(ours, config.paths, path)


def _temporal(ours: str, paths: int, path: int) -> Iterator[Entry]:
    n = path + 1
    for projection, theirs in (("query", f"enc{n}.w_qs"), ("key", f"enc{n}.w_ks")):
        yield from _conv_norm(f"{ours}.encoder.{projection}.0", f"{theirs}.0.conv", f"{theirs}.0.bn")
        yield Entry(f"{ours}.encoder.{projection}.0.conv.bias", f"{theirs}.0.conv.bias")
        yield from _layer(f"{ours}.encoder.{projection}.1", f"{theirs}.1.conv")
    yield from _layer(f"{ours}.encoder.value", f"enc{n}.w_vs.0.conv")
    for hop in range(paths - 1):  # with two paths the one hop bears no second number
        oldest = (path + 1 + hop) % paths + 1
        hop_name = f"atn{n}_{oldest}" if paths > 2 else f"atn{n}"
        yield Entry(f"{ours}.propagation.phi.{hop}.weight", f"{hop_name}.fc.0.conv.weight", pointwise=True)
        yield Entry(f"{ours}.propagation.phi.{hop}.bias", f"{hop_name}.fc.0.conv.bias")
    yield from _layer(f"{ours}.norm", f"layer_norm{n}.ln")


def _pspnet(ours: str, config: ModelConfig, path: int, n: str) -> Iterator[Entry]:
    yield from _psp_backbone(ours, config, n)
    width = _level_width(config)
    kept = width // config.groups
    rows = Channels(0, path % config.groups * kept, kept, width)
    pyramid = f"psp{n}" if n else "head.conv5.0"
    for level in range(_LEVELS):
        theirs = f"{pyramid}.conv{level + 1}"
        yield from _conv_norm(f"{ours}.levels.{level}", f"{theirs}.0", f"{theirs}.1", rows)


def _teacher(ours: str, config: ModelConfig, pyramids: int) -> Iterator[Entry]:
    """The official teacher: m whole pyramids, of which the i-th serves group i, and the head's 3x3 convolution in m.

    Group i reads the i-th of m parts of the backbone's channels and of each level's, so its convolution is made of
    those columns of the one that reads all.
    """
    yield from _psp_backbone(f"{ours}.subnet", config, "")
    width = _level_width(config)
    sections = (_LEVELS * width, *[width] * _LEVELS)  # the backbone's channels, then the levels'
    for group in range(pyramids):
        kept = width // pyramids
        rows = Channels(0, group * kept, kept, width)
        for level in range(_LEVELS):
            theirs = f"psp{group + 1}.conv{level + 1}"
            yield from _conv_norm(f"{ours}.subnet.levels.{level}", f"{theirs}.0", f"{theirs}.1", rows, rows.first)
        first = place = 0
        for section in sections:
            kept = section // pyramids
            columns = Channels(1, first, kept, sum(sections) // pyramids)
            yield Entry(
                f"{ours}.head.hidden.conv.weight", f"group{group + 1}.conv5.0.weight", columns, place + group * kept
            )
            first, place = first + kept, place + section
    for name in _NORM:
        yield Entry(f"{ours}.head.hidden.norm.{name}", f"head.conv5.0.{name}")
    yield from _layer(f"{ours}.head.classify", "head.conv5.3")


def _psp_backbone(ours: str, config: ModelConfig, n: str) -> Iterator[Entry]:
    depth = int(config.subnet.removeprefix("psp"))
    yield from _resnet(f"{ours}.backbone", f"pretrained{n}", depth, shortcut=depth > 18)


def _level_width(config: ModelConfig) -> int:
    """Channels of one level of the whole pyramid: a quarter of the backbone's."""
    return 128 if config.subnet == "psp18" else 512


def _fanet(ours: str, n: str) -> Iterator[Entry]:
    yield from _resnet(f"{ours}.backbone", f"pretrained{n}", 18, shortcut=True)
    suffix = f"_{n}" if n else ""
    for level, theirs, read in ((64, 32, ("up",)), (32, 16, ("up", "smooth")), (16, 8, ("up",)), (8, 4, ("smooth",))):
        for layer, name in (*_ATTENTION, *((name, name) for name in read)):
            module = f"ffm_{theirs}{suffix}.{name}"
            yield from _conv_norm(f"{ours}.attend{level}.{layer}", f"{module}.conv", f"{module}.bn")


def _resnet(ours: str, theirs: str, depth: int, *, shortcut: bool) -> Iterator[Entry]:
    """`shortcut`: the first stage, too, has a convolution beside its first block."""
    layout = LAYOUTS[depth]
    deep = [("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1")]
    stem = deep if layout.bottleneck else [("conv1", "bn1")]
    for i, (conv, norm) in enumerate(stem):
        yield from _conv_norm(f"{ours}.stem.{i}", f"{theirs}.{conv}", f"{theirs}.{norm}")
    for stage, blocks in enumerate(layout.blocks):
        for block in range(blocks):
            mine, other = f"{ours}.stages.{stage}.{block}", f"{theirs}.layer{stage + 1}.{block}"
            for i in range(3 if layout.bottleneck else 2):
                yield from _conv_norm(f"{mine}.layers.{i}", f"{other}.conv{i + 1}", f"{other}.bn{i + 1}")
            if block == 0 and (stage > 0 or shortcut):
                yield from _conv_norm(f"{mine}.shortcut", f"{other}.downsample.0", f"{other}.downsample.1")


def _conv_norm(
    ours: str, conv: str, norm: str, rows: Channels | None = None, place: int | None = None
) -> Iterator[Entry]:
    yield Entry(f"{ours}.conv.weight", f"{conv}.weight", rows, place)
    for name in _NORM:
        yield Entry(f"{ours}.norm.{name}", f"{norm}.{name}", rows, place)


def _layer(ours: str, theirs: str) -> Iterator[Entry]:
    for name in ("weight", "bias"):
        yield Entry(f"{ours}.{name}", f"{theirs}.{name}")
