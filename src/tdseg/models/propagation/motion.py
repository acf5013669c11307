"""Motion of a picture between two frames: where each cell of the class scores was in the frame before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tdseg.models.layers import resize
from tdseg.system import require

FINENESS = 4
"""Pixels of the grey pictures that motion is found in, to a side of a position of z: 1/2 of the input for z at 1/8."""
SIGMA = 22.0
"""Difference of brightness at which what was seen before counts 1/e, grey levels of 0 … 255."""
CUT = (0.7, 0.85)
"""Mean validity of a picture up to which it is another one than that before, and from which on it is the same."""
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey, ITU-R BT.601."""
STILL = 2.0
"""Mean difference around a place, grey levels, up to which it stands still: the noise of a camera."""


class MotionField(NamedTuple):
    """Motion back to the frame before, at the resolution of the class scores."""

    displacement: Tensor
    """(B, 2, u·h, u·w), its cells, x then y: what is here now was there before. 0 where the picture stands still."""
    validity: Tensor
    """(B, 1, u·h, u·w), 0 … 1: how far the frame before shows the same there."""


class Motion(NamedTuple):
    """Motion back to the frame before, as a source finds it; on a grid of its own."""

    displacement: Tensor
    """(B, 2, ·, ·), positions of z, x then y."""
    difference: Tensor
    """(B, 1, ·, ·), grey levels: between the picture now and where that leads to in the one before."""


class MotionSource(nn.Module, ABC):
    """Finds motion in small grey pictures. It is not trained, and computes in float32."""

    @abstractmethod
    def find(self, now: Tensor, before: Tensor) -> Motion:
        """Motion from one picture to the other, (B, 1, FINENESS·h, FINENESS·w) each, float32 0 … 255."""

    def pictures(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Such pictures of frames, uint8 RGB (B, 3, h, w) on the host: (B, 1, *size)."""
        shares = torch.tensor(LUMA)[:, None, None]
        return F.interpolate((frames * shares).sum(1, keepdim=True), size, mode="area")

    @torch.no_grad()
    def forward(self, now: Tensor, before: Tensor, scale: int) -> MotionField:
        """The motion of two such pictures for scores of u·h × u·w, u = scale, whatever the precision around it."""
        size = (now.shape[-2] // FINENESS * scale, now.shape[-1] // FINENESS * scale)
        with without_autocast(now.device.type):
            displacement, difference = self.find(now.float(), before.float())
            return MotionField(scale * resize(displacement, size), validity(resize(difference, size)))


class BlockMatching(MotionSource):
    """Sums of absolute differences, from coarse to fine: plain operations on tensors, for every runtime.

    Reach is 4 positions of z and a bit, 34 pixels of the input where z is at 1/8. What moves farther is not found, and
    not valid.
    """

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            [
                _Level(1, reach=4, window=5, skip=2),
                _Level(2, reach=1, window=4, step=2),
                _Level(4, reach=1, window=3, skip=2),
            ]
        )

    def find(self, now: Tensor, before: Tensor) -> Motion:
        """See MotionSource; at 2·h × 2·w."""
        motion = None
        for level in self.levels:
            motion = level(now, before, motion)
        assert isinstance(motion, Motion)
        return motion


class _Level(nn.Module):
    """One level: all shifts within reach of what is known so far are compared, over a window around each place.

    The motion is their mean, weighted by a softmax of the differences in grey levels, so it is finer than a pixel.

    Args:
        fineness: pixels of its pictures to a side of a position of z.
        reach: pixels, in each direction.
        window: side of the window, in the pixels that are compared.
        skip: of so many pixels in each direction one is compared.
        step: of so many windows in each direction one is.
    """

    kernels: Tensor
    places: Tensor

    def __init__(self, fineness: int, *, reach: int, window: int, skip: int = 1, step: int = 1) -> None:
        super().__init__()
        self.fineness, self.reach, self.window, self.skip, self.step = fineness, reach, window, skip, step
        side = 2 * reach + 1
        with torch.device("cpu"):  # a network may be made without memory, for weights that do not hold these
            kernels = torch.zeros(side * side, 2, side, side)  # each is the picture now less the one before, shifted
            kernels[:, 1] = -torch.eye(side * side).view(-1, side, side)
            kernels[:, 0, reach, reach] += 1
            y, x = torch.meshgrid(torch.arange(side) - reach, torch.arange(side) - reach, indexing="ij")
            places = torch.stack([x.flatten(), y.flatten()])[:, :, None, None] / fineness
        # Channels last, as what is done with so many channels is faster then.
        self.register_buffer("kernels", kernels.contiguous(memory_format=torch.channels_last), persistent=False)
        self.register_buffer("places", places, persistent=False)

    def forward(self, now: Tensor, before: Tensor, known: Motion | None) -> Motion:
        """Pictures (B, 1, FINENESS·h, FINENESS·w), and a motion of them -> the same motion, finer."""
        if self.fineness < FINENESS:
            now, before = (F.avg_pool2d(picture, FINENESS // self.fineness) for picture in (now, before))
        if known is not None:
            size = (now.shape[-2], now.shape[-1])
            moved = F.interpolate(self.fineness * known.displacement, size, mode="nearest")
            before = carried(before, moved, "border")
        both = torch.cat([now, before], 1)
        difference = F.conv2d(both, self.kernels.float(), stride=self.skip, padding=self.reach).abs()
        margin = (self.window - self.step) // 2
        cost = F.avg_pool2d(difference, self.window, self.step, margin, count_include_pad=False)
        unmoved = slice(len(self.kernels) // 2, len(self.kernels) // 2 + 1)
        moving = (cost[:, unmoved] > STILL).to(cost.dtype)
        found = moving * F.conv2d((-cost).softmax(1), self.places.float())
        if known is not None:
            found = found + F.interpolate(known.displacement, (found.shape[-2], found.shape[-1]), mode="nearest")
        return Motion(_around(found), difference[:, unmoved])


class DenseInverseSearch(MotionSource):
    """DIS flow (Kroeger et al., ECCV 2016), OpenCV's ultrafast preset: on the host, and in no graph.

    One way only: a check by the flow forward costs as much again, and tells no more than the brightness does.
    """

    def __init__(self) -> None:
        super().__init__()
        require("cv2", extra="metrics")

    def pictures(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """See MotionSource; a fifth of the time."""
        import cv2

        height, width = size
        rgb = frames.permute(0, 2, 3, 1).contiguous().numpy()
        small = (cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in rgb)
        return torch.from_numpy(np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in small]))[:, None].float()

    def find(self, now: Tensor, before: Tensor) -> Motion:
        """See MotionSource; at 2·h × 2·w."""
        found = [_search(*pair) for pair in zip(now[:, 0].cpu().numpy(), before[:, 0].cpu().numpy(), strict=True)]
        flow, difference = (torch.from_numpy(np.stack(maps)).to(now.device) for maps in zip(*found, strict=True))
        return Motion(flow.permute(0, 3, 1, 2) / FINENESS, difference[:, None])


MOTIONS: dict[str, type[MotionSource]] = {"matching": BlockMatching, "dis": DenseInverseSearch}
"""Sources of motion by their name in a ModelConfig."""


def validity(difference: Tensor) -> Tensor:
    """How far a picture shows the same as the one before, of how much it differs from that along the motion.

    exp(-(d/σ)²), d half the difference at a cell, so that what is thin counts, and half that around it, so that noise
    and equals by chance do not. The rest of a picture that is another one, after a cut, looks the same only by chance.

    Args:
        difference: (B, 1, h, w), grey levels.

    Returns:
        (B, 1, h, w), 0 … 1.
    """
    same = (-((difference + _around(difference)) / (2 * SIGMA)).square()).exp()
    return same * ((same.mean((1, 2, 3), keepdim=True) - CUT[0]) / (CUT[1] - CUT[0])).clamp(0, 1)


def carried(x: Tensor, displacement: Tensor, padding: str = "zeros") -> Tensor:
    """Maps (B, C, h, w) at places displaced by (B, 2, h, w), in their cells, x then y; bilinear.

    Args:
        padding: what is outside: "zeros", or "border" for what is nearest.
    """
    grid = sampling_grid(displacement).to(x.dtype)
    if padding == "border" and x.requires_grad:
        grid = grid.nan_to_num()  # on a CPU torch's gradient at what is no number ends the process
    return F.grid_sample(x, grid, padding_mode=padding, align_corners=False)


def sampling_grid(displacement: Tensor) -> Tensor:
    """The displaced places (B, h, w, 2) as `grid_sample` counts them, -1 … 1 from border to border."""
    height, width = displacement.shape[-2:]
    columns, rows = (torch.arange(n, device=displacement.device, dtype=displacement.dtype) for n in (width, height))
    cells = torch.stack([columns.expand(height, width), rows[:, None].expand(height, width)], -1)  # (h, w, 2)
    size = torch.stack([torch.full_like(cells[0, 0, 0], n) for n in (width, height)])
    return (2 * (displacement.permute(0, 2, 3, 1) + cells) + 1) / size - 1


def without_autocast(device: str) -> AbstractContextManager[object]:
    """What is computed in it keeps its precision: grey levels need all of float32's, or a still picture moves."""
    known = torch.amp.is_autocast_available(device)  # not for the meta device, where costs are counted
    return torch.autocast(device, enabled=False) if known and torch.is_autocast_enabled(device) else nullcontext()


def _around(x: Tensor) -> Tensor:
    """Means of 3×3 places."""
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


def _search(now: NDArray[np.float32], before: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Pictures (H, W) -> at half their sides the flow (·, ·, 2), pixels, and the difference along it (·, ·)."""
    import cv2

    # A search keeps buffers: one of its own for each call, as streams share a model.
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    flow = search.calc(cv2.convertScaleAbs(now), cv2.convertScaleAbs(before), None)  # type: ignore[call-overload]
    unmoved = cv2.blur(cv2.absdiff(now, before), (3, 3))[::2, ::2]  # bytes would add noise of their own
    size = (unmoved.shape[1], unmoved.shape[0])
    half = np.asarray(cv2.resize(flow, size, interpolation=cv2.INTER_AREA), np.float32)
    half *= (unmoved > STILL)[..., None]
    rows, columns = (np.arange(0, side, 2, dtype=np.float32) for side in now.shape)
    x, y = half[..., 0] + columns, half[..., 1] + rows[:, None]
    there = cv2.remap(before, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return half, np.asarray(cv2.absdiff(now[::2, ::2].copy(), there), np.float32)
