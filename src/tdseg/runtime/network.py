"""The networks that Streams run, whatever runs them, and how that is chosen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from tdseg.config import MIN_SIZE, ModelConfig
from tdseg.errors import ConfigError
from tdseg.system import check_threads, free_memory

if TYPE_CHECKING:
    from torch import Tensor

    from tdseg.models.propagation import TDNetState

RuntimeName = Literal["torch", "onnxruntime", "openvino"]
AnyRuntime = Literal["auto", "torch", "onnxruntime", "openvino"]
MOST_SIDE = 16_384
_LEAST_BYTES = 64
"""For each pixel of the input: floats of its channels, and of some features."""
SAME_ASPECT = 1.15
"""Ratio of aspects up to which a frame is resized to a model's own size."""
RUNTIMES: tuple[AnyRuntime, ...] = get_args(AnyRuntime)


@dataclass(frozen=True)
class Execution:
    """Where a network runs, by what, and in which form. The forms are of torch, and change results by rounding only.

    Attributes:
        device: cpu, cuda, cuda:1 …; auto is cuda if there is one, and for a model given as such, where it is.
        runtime: What runs the model; auto is the fastest one installed: on a CPU with OpenVINO, the int8 graph of a
            packaged model that has one. A model given as such stays in its own.
        threads: Threads of the network on the CPU; by default all cores.
        fuse: Fold batch norms into convolutions.
        winograd: Large 3x3 convolutions by Winograd's method; by default on a CPU in float32.
        channels_last: Lay weights out with channels last.
        compile: Compile with torch.compile. It takes up to minutes when a size is first met.
        autocast: Run in this precision what gains by it.
        cuda_graphs: Record the kernels of a frame once, and launch them all at once from then on.
    """

    device: str = "auto"
    runtime: AnyRuntime = "auto"
    threads: int | None = None
    fuse: bool = True
    winograd: bool | None = None
    channels_last: bool = True
    compile: bool = False
    autocast: Literal["bf16", "fp16"] | None = None
    cuda_graphs: bool = False

    def __post_init__(self) -> None:
        check_threads(self.threads)
        if self.winograd and (self.autocast or not self.fuse):
            raise ConfigError(
                f"winograd with {f'autocast={self.autocast}' if self.autocast else 'fuse=False'}",
                expected="winograd in float32, as part of fuse",
                do="leave one of them out",
            )

    @property
    def form(self) -> tuple[object, ...]:
        """The form of torch that it asks for; () for the usual one."""
        form = (self.fuse, self.winograd, self.channels_last, self.compile, self.autocast, self.cuda_graphs)
        return () if form == (True, None, True, False, None, False) else form


class Network(Protocol):
    """A network that keeps no state. One may serve any number of videos, from any number of threads."""

    config: ModelConfig
    runtime: RuntimeName
    """What runs it."""
    precision: str
    """Of its weights: fp32, fp16, bf16 or int8."""
    device: str
    """What computes: cpu, cuda:0, or the execution provider of its runtime, such as tensorrt."""
    align_corners: bool
    """How its logits lie on the frame, see `class_map`."""
    keeps_state: bool
    """Whether it remembers anything from frame to frame."""
    concurrent: bool
    """Whether most of a step's work can be done before its turn, by `encode`, for several frames at once."""

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """The (height, width) of its input that was asked for, pixels, or for None its own, see `size_for`.

        Args:
            size: what is asked for.
            frame: (height, width) of the frames, for networks that take several sizes.

        Raises:
            ConfigError: below 64 pixels, or one that it does not take.
        """

    def encode(self, images: Tensor, path: int) -> Any:
        """The part of a step that needs no turn, for frames, uint8 RGB (B, 3, h, w), of a path."""

    def advance(self, encoded: Any, state: TDNetState) -> tuple[Tensor, TDNetState]:
        """The rest of a step, in turn: logits (B, C, u·h, u·w) as of `TDNet.advance`, and the state for the next frame.

        Raises:
            ConfigError: the frames are of another size or number than those before.
        """


def check_pair(size: object) -> None:
    """See to it that a size is two whole numbers, or None.

    Raises:
        ConfigError: it is not.
    """
    is_pair = isinstance(size, tuple | list) and len(size) == 2
    if size is not None and not (is_pair and all(isinstance(side, int) for side in size)):  # type: ignore[attr-defined]
        raise ConfigError(
            f"size {size!r}", expected="(height, width), pixels, or None", do="give both sides, as in size=(360, 480)"
        )


def frames_remembered(network: Network) -> int | None:
    """Frames that a mask of the network draws on, the newest included; None: it is per-frame."""
    return network.config.paths if network.config.paths > 1 else None


def reach(network: Network) -> int | None:
    """Frames that a mask of the network can depend on, the newest included; None: all before it, without end."""
    return None if network.keeps_state and network.config.paths == 1 else network.config.paths


def size_for(own: tuple[int, int], frame: tuple[int, int] | None, stride: int) -> tuple[int, int]:
    """The size of the input of a network that takes any, for frames: as many pixels as its own, at their aspect.

    Args:
        own: the model's own (height, width), pixels; kept where the aspects hardly differ.
        frame: (height, width) of the frames; None: not known.
        stride: of which the sides become multiples.
    """
    if frame is None or same_aspect(own, frame):
        return own
    area = own[0] * own[1]
    most = max(1.0, area / MIN_SIZE**2)
    aspect = min(max(frame[0] / frame[1], 1 / most), most)
    height, width = (
        max(-(-MIN_SIZE // stride), round(side / stride)) * stride
        for side in (math.sqrt(area * aspect), math.sqrt(area / aspect))
    )
    return height, width


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether pictures of these (height, width) hardly differ in shape: what is squashed by so little is known."""
    ratio = one[0] * other[1] / (one[1] * other[0])
    return max(ratio, 1 / ratio) <= SAME_ASPECT


def check_size(size: tuple[int, int], own: tuple[int, int], *, multiple_of: int = 1) -> tuple[int, int]:
    """The size, if a network can have it.

    Args:
        size: (height, width) of the input, pixels.
        own: the model's own.
        multiple_of: what a graph of any size takes multiples of.

    Raises:
        ConfigError: below 64 pixels, or no multiples; or more than there is memory for, whatever the network.
    """
    if min(size) < MIN_SIZE:
        raise ConfigError(
            f"size {size[0]}x{size[1]}",
            expected=f"height and width of at least {MIN_SIZE} pixels",
            do=f"choose a larger size; the model's own is {own[0]}x{own[1]}",
        )
    least, free = _LEAST_BYTES * math.prod(size), free_memory()
    if max(size) > MOST_SIDE or (free is not None and least > free):
        raise ConfigError(
            f"size {size[0]}x{size[1]}",
            expected=f"up to {MOST_SIDE} pixels a side, and what fits in memory: this takes over {least >> 20} MiB",
            do=f"choose a smaller --size; the model's own is {own[0]}x{own[1]}",
        )
    if any(side % multiple_of for side in size):
        height, width = (round(side / multiple_of) * multiple_of for side in size)
        raise ConfigError(
            f"size {size[0]}x{size[1]} for a graph of any size",
            expected=f"multiples of {multiple_of} pixels",
            do=f"use --size {height}x{width}, to which frames of any size are resized",
        )
    return size
