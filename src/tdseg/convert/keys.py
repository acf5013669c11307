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
_NORM = ("weight", "bias", "running_mean", "running_var")


class Rows(NamedTuple):
    """A part of the output channels: `first` … `first + size - 1` of `of`."""

    first: int
    size: int
    of: int


class Entry(NamedTuple):
    """Where one of our tensors comes from."""

    ours: str
    theirs: str
    rows: Rows | None = None
    """The output channels that are kept; None: all."""
    pointwise: bool = False
    """A 1x1 convolution there, a linear layer here."""

    def shape(self, ours: Tensor) -> torch.Size:
        """Shape of their tensor, given ours."""
        shape = [self.rows.of, *ours.shape[1:]] if self.rows else list(ours.shape)
        return torch.Size(shape + [1, 1] * self.pointwise)

    def take(self, theirs: Tensor) -> Tensor:
        """What is kept of their tensor."""
        return theirs.narrow(0, self.rows.first, self.rows.size) if self.rows else theirs


def key_table(config: ModelConfig) -> Iterator[Entry]:
    """Where every tensor of a model comes from in a checkpoint of the official code."""
    for path in range(config.paths):
        ours, n = f"paths.{path}", str(path + 1) if config.paths > 1 else ""
        if config.subnet == "fa18":
            yield from _fanet(f"{ours}.subnet", n)
            yield from _conv_norm(f"{ours}.head.hidden", f"head{n}.conv.conv", f"head{n}.conv.bn")
            yield Entry(f"{ours}.head.classify.weight", f"head{n}.conv_out.weight")
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
    bottleneck = config.subnet != "psp18"
    depth = int(config.subnet.removeprefix("psp"))
    yield from _resnet(f"{ours}.backbone", f"pretrained{n}", depth, deep_stem=bottleneck, shortcut=bottleneck)
    width = 512 if bottleneck else 128
    group, kept = path % config.groups, width // config.groups
    rows = Rows(group * kept, kept, width)
    pyramid = f"psp{n}" if n else "head.conv5.0"
    for level in range(4):
        theirs = f"{pyramid}.conv{level + 1}"
        yield from _conv_norm(f"{ours}.levels.{level}", f"{theirs}.0", f"{theirs}.1", rows)


def _fanet(ours: str, n: str) -> Iterator[Entry]:
    yield from _resnet(f"{ours}.backbone", f"pretrained{n}", 18, deep_stem=False, shortcut=True)
    suffix = f"_{n}" if n else ""
    for level, theirs, read in ((64, 32, ("up",)), (32, 16, ("up", "smooth")), (16, 8, ("up",)), (8, 4, ("smooth",))):
        for layer, name in (*_ATTENTION, *((name, name) for name in read)):
            module = f"ffm_{theirs}{suffix}.{name}"
            yield from _conv_norm(f"{ours}.attend{level}.{layer}", f"{module}.conv", f"{module}.bn")


def _resnet(ours: str, theirs: str, depth: int, *, deep_stem: bool, shortcut: bool) -> Iterator[Entry]:
    """`shortcut`: the first stage, too, has a convolution beside its first block."""
    stem = [("conv1.0", "conv1.1"), ("conv1.3", "conv1.4"), ("conv1.6", "bn1")] if deep_stem else [("conv1", "bn1")]
    for i, (conv, norm) in enumerate(stem):
        yield from _conv_norm(f"{ours}.stem.{i}", f"{theirs}.{conv}", f"{theirs}.{norm}")
    layout = LAYOUTS[depth]
    for stage, blocks in enumerate(layout.blocks):
        for block in range(blocks):
            mine, other = f"{ours}.stages.{stage}.{block}", f"{theirs}.layer{stage + 1}.{block}"
            for i in range(3 if layout.bottleneck else 2):
                yield from _conv_norm(f"{mine}.layers.{i}", f"{other}.conv{i + 1}", f"{other}.bn{i + 1}")
            if block == 0 and (stage > 0 or shortcut):
                yield from _conv_norm(f"{mine}.shortcut", f"{other}.downsample.0", f"{other}.downsample.1")


def _conv_norm(ours: str, conv: str, norm: str, rows: Rows | None = None) -> Iterator[Entry]:
    yield Entry(f"{ours}.conv.weight", f"{conv}.weight", rows)
    for name in _NORM:
        yield Entry(f"{ours}.norm.{name}", f"{norm}.{name}", rows)


def _layer(ours: str, theirs: str) -> Iterator[Entry]:
    for name in ("weight", "bias"):
        yield Entry(f"{ours}.{name}", f"{theirs}.{name}")
