"""Augmentation of whole batches of clips, on the device they are on: geometry, then colour, then sensor noise.

Geometry is one homography per frame. A still image becomes a clip by a smooth random camera motion; a real clip gets
the same view for all of its frames. The homographies are returned, because they are exact correspondences that a loss
can use.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from tdseg.config import FrozenConfig
from tdseg.data.clip import Clip
from tdseg.metrics.iou import VOID

MOST_SCALES = 64
"""That are listed."""
Zoom = Annotated[float, Field(ge=0.01, le=100)]
_CropSide = Annotated[int, Field(ge=8, le=4096)]


class Augmentation(FrozenConfig):
    """How training clips are drawn from data. Ranges are of uniform distributions unless said otherwise."""

    crop: tuple[_CropSide, _CropSide] = Field(description="(height, width) of the training crops, pixels.")
    scale: tuple[Zoom, Zoom] = Field(
        (0.6, 1.7),
        description="Zoom, log-uniform: at 1 things are as large as in use, where frames are resized to the network's "
        "size, however large the files are.",
    )
    scales: tuple[Zoom, ...] | None = Field(
        None,
        min_length=1,
        max_length=MOST_SCALES,
        description="One of these zooms instead; one that is listed twice is drawn twice as often.",
    )
    aspect: float = Field(1.25, ge=1, le=10, description="Largest stretch of width against height, log-uniform.")
    rotation: float = Field(5.0, ge=0, le=180, description="Largest rotation, degrees.")
    motion: float = Field(1.0, ge=0, le=10, description="Strength of the camera motion that turns stills into clips.")
    colour: float = Field(
        0.4, ge=0, le=10, description="Largest relative change of brightness, contrast and saturation."
    )
    tint: float = Field(0.08, ge=0, le=10, description="Largest relative gain of each colour channel.")
    noise: float = Field(
        0.0, ge=0, le=255, description="Largest standard deviation of per-frame pixel noise, units of 0..255."
    )
    flicker: float = Field(0.0, ge=0, le=10, description="Largest relative change of brightness from frame to frame.")
    blur: float = Field(0.0, ge=0, le=1, description="Probability that a frame is blurred.")


class Batch(NamedTuple):
    """Clips as training sees them."""

    frames: Tensor
    """(B, T, 3, h, w) float32 RGB in 0..255."""
    labels: Tensor
    """(B, T, h, w) int64; VOID outside the source and where unknown."""
    views: Tensor
    """(B, T, 3, 3): frame coordinates to source coordinates, both normalised to -1..1 (x, y)."""
    rigid: Tensor
    """(B,) bool, on the CPU: the clip was made from a still, so `views` is the exact motion of every pixel."""


class Augmenter(nn.Module):
    """Draws one view per frame of clips and samples it; stills become clips.

    Args:
        config: ranges.
        length: T, frames of the clips it makes.
        size: (height, width) that the network resizes frames to in use.
    """

    noise: Tensor
    """Normal numbers: a frame's noise is a run of them from a random place, on every device the same."""

    def __init__(self, config: Augmentation, length: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.config, self.length, self.size = config, length, size
        count = 2 * 3 * math.prod(config.crop) if config.noise else 0
        self.register_buffer("noise", torch.randn(count, generator=Generator().manual_seed(0)), persistent=False)

    def forward(self, clips: Sequence[Clip], generators: Sequence[Generator]) -> Batch:
        """A batch on the device that this is on, where all but the drawing happens.

        Args:
            clips: each of 1 or T frames, any size.
            generators: one for each clip, source of all that is random about it, on the CPU: what becomes of a clip
                depends neither on the device nor on the other clips.
        """
        config, device = self.config, self.noise.device
        pairs = list(zip(clips, generators, strict=True))
        draws = [_draw(clip, self.length, config, self.size, generator) for clip, generator in pairs]
        views, gains, frame_draws, offsets = (torch.stack(drawn) for drawn in zip(*draws, strict=True))
        sizes = [_sampled_size(clip, view[-1], config.crop) for clip, view in zip(clips, views, strict=True)]
        rigid = torch.tensor([len(clip.frames) == 1 for clip in clips])
        moved = [Clip(*(x.to(device, non_blocking=True) for x in clip)) for clip in clips]
        views = views.to(device, non_blocking=True)
        frames, labels = _sample(moved, sizes, views, config.crop)
        frames = _colour(frames, gains.to(device, non_blocking=True))
        frames = self._corrupt(frames, frame_draws.to(device, non_blocking=True), offsets)
        return Batch(frames, labels, views, rigid)

    def _corrupt(self, frames: Tensor, draws: Tensor, offsets: Tensor) -> Tensor:
        """Noise, flicker and blur, drawn anew for every frame: what one frame loses, the memory can give back."""
        config, (blurred, flicker, strength) = self.config, draws[..., None, None, None].unbind(2)  # (B, T, 1, 1, 1)
        if config.blur:
            soft = F.avg_pool2d(frames.flatten(0, 1), 3, 1, 1, count_include_pad=False).view_as(frames)
            frames = torch.where(blurred < config.blur, soft, frames)
        if config.flicker:
            frames = frames * (1 + (flicker * 2 - 1) * config.flicker)
        if config.noise:
            size = 3 * math.prod(config.crop)
            noise = torch.stack([self.noise[start : start + size] for start in offsets.flatten().tolist()])
            frames = frames + noise.view_as(frames) * strength * config.noise
        return frames.clamp(0, 255)


def warp(x: Tensor, views_from: Tensor, views_to: Tensor) -> tuple[Tensor, Tensor]:
    """Move maps of one view of a scene to another view of it.

    Args:
        x: (N, C, h, w), seen through `views_from`.
        views_from, views_to: (N, 3, 3), as in Batch.views.

    Returns:
        x as `views_to` sees it, (N, C, h, w), and where it was in sight, (N, h, w) bool.
    """
    grid = _grid(torch.linalg.inv_ex(views_from)[0] @ views_to, (x.shape[-2], x.shape[-1]))
    return F.grid_sample(x, grid, align_corners=False), (grid.abs() <= 1).all(-1)


def _draw(
    clip: Clip, length: int, config: Augmentation, size: tuple[int, int], generator: Generator
) -> tuple[Tensor, ...]:
    """All that is random about one clip.

    Returns:
        views: (T, 3, 3).
        gains: (6,): of brightness, of red, green, blue, of contrast, of saturation.
        frames: (T, 3) in 0..1: whether a frame is blurred, its flicker, the strength of its noise.
        offsets: (T,) int64: where a frame's noise begins in the bank.
    """
    views = _random_view(config, size, generator).expand(length, 3, 3)
    if len(clip.frames) < length:
        views = views @ _camera_motion(length, config.motion, generator)
    strengths = torch.tensor([config.colour, *[config.tint] * 3, config.colour, config.colour])
    gains = 1 + (torch.rand(6, generator=generator) * 2 - 1) * strengths
    frames = torch.rand(length, 3, generator=generator)
    return views, gains, frames, torch.randint(3 * math.prod(config.crop), (length,), generator=generator)


def _random_view(config: Augmentation, size: tuple[int, int], generator: Generator) -> Tensor:
    """(3, 3) from the crop to a source that fills `size`. Where the picture is large enough, the crop lies inside."""
    uniform = torch.rand(6, generator=generator).tolist()

    def draw(index: int, low: float, high: float) -> float:
        return low + (high - low) * float(uniform[index])

    height, width = size
    if config.scales is None:
        zoom = math.exp(draw(0, math.log(config.scale[0]), math.log(config.scale[1])))
    else:
        zoom = config.scales[int(uniform[0] * len(config.scales))]
    stretch = math.exp(draw(1, -1, 1) * math.log(config.aspect) / 2)
    half_x = config.crop[1] / width / zoom / stretch  # half the crop, in normalised source units
    half_y = config.crop[0] / height / zoom * stretch
    angle = math.radians(draw(2, -config.rotation, config.rotation))
    flip = -1.0 if uniform[3] < 0.5 else 1.0
    cos, sin, ratio = math.cos(angle), math.sin(angle), width / height
    reach_x = abs(cos) * half_x + abs(sin) * half_y / ratio  # of the turned crop's corners
    reach_y = abs(cos) * half_y + abs(sin) * half_x * ratio
    x = draw(4, -1, 1) * max(0.0, 1 - reach_x)
    y = draw(5, -1, 1) * max(0.0, 1 - reach_y)
    return torch.tensor(
        [[cos * half_x * flip, -sin * half_y / ratio, x], [sin * half_x * flip * ratio, cos * half_y, y], [0, 0, 1.0]]
    )


def _camera_motion(length: int, strength: float, generator: Generator) -> Tensor:
    """(T, 3, 3): a smooth path of zoom, pan, rotation and perspective, the identity at its newest frame.

    Constant velocity plus a little acceleration, about what a 15 to 30 Hz dashcam sees from frame to frame.
    """
    time = torch.arange(length - 1, -1, -1.0)
    spread = torch.tensor([0.015, 0.020, 0.010, 0.010, 0.003, 0.006, 0.004])  # zoom, pan x, y, roll, shear, tilt x, y
    velocity, acceleration = torch.randn(2, 7, generator=generator) * spread * strength
    zoom, pan_x, pan_y, roll, shear, tilt_x, tilt_y = velocity[:, None] * time + 0.15 * acceleration[:, None] * time**2
    motion = torch.eye(3).repeat(length, 1, 1)
    motion[:, 0, 0] = motion[:, 1, 1] = torch.exp(zoom)
    motion[:, 0, 1] = -roll + shear
    motion[:, 1, 0] = roll
    motion[:, 0, 2], motion[:, 1, 2] = pan_x, pan_y
    motion[:, 2, 0], motion[:, 2, 1] = tilt_x, tilt_y
    return motion


def _sampled_size(clip: Clip, view: Tensor, crop: tuple[int, int]) -> tuple[int, int]:
    """(height, width) that a source is resized to before it is sampled: its own, or less where pixels are skipped."""
    size = (clip.frames.shape[-2], clip.frames.shape[-1])
    across = torch.tensor(crop[::-1])  # steps from pixel to pixel of the crop, in columns and rows of the source
    skipped_x, skipped_y = ((view[:2, :2].abs() / across).amax(1) * torch.tensor(size[::-1])).tolist()
    return max(1, round(size[0] / max(skipped_y, 1))), max(1, round(size[1] / max(skipped_x, 1)))


def _sample(
    clips: list[Clip], sizes: list[tuple[int, int]], views: Tensor, crop: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Frames (B, T, 3, h, w) float in 0..255 and labels (B, T, h, w) int64, through the views (B, T, 3, 3)."""
    (length, (height, width)), frames, labels = (views.shape[1], crop), list[Tensor](), list[Tensor]()
    grids = _grid(views.flatten(0, 1), crop).view(len(clips), length * height, width, 2)
    for clip, size, grid in zip(clips, sizes, grids, strict=True):
        # A still is sampled once, at the positions of all its frames, one above the other.
        positions = grid.view(len(clip.frames), -1, width, 2)
        images = clip.frames.float()
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)  # as frames are in use
        sampled = F.grid_sample(images, positions, padding_mode="border", align_corners=False)
        frames.append(sampled.transpose(0, 1).reshape(3, length, height, width).transpose(0, 1))
        shifted = clip.labels.float()[:, None] - VOID
        seen = F.grid_sample(shifted, positions, mode="nearest", align_corners=False) + VOID  # outside zeros: VOID
        labels.append(seen.view(length, height, width).round().long())
    return torch.stack(frames), torch.stack(labels)


def _grid(views: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w, 2) sampling positions of the pixel centres seen through homographies (N, 3, 3)."""
    height, width = size
    ys = (torch.arange(height, device=views.device) * 2 + 1) / height - 1
    xs = (torch.arange(width, device=views.device) * 2 + 1) / width - 1
    points = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width), xs.new_ones(size)], -1)
    x, y, z = (points.view(1, -1, 3) @ views.transpose(1, 2)).unbind(-1)
    return torch.stack([x / z, y / z], -1).view(-1, height, width, 2)


def _colour(frames: Tensor, gains: Tensor) -> Tensor:
    """Brightness, contrast, saturation and tint: one draw (B, 6) for each clip, the same for all of its frames."""
    brightness, tint, contrast, saturation = (
        part[:, None, :, None, None]  # (B, 1, 1 or 3, 1, 1)
        for part in torch.split(gains, [1, 3, 1, 1], 1)
    )
    frames = frames * (brightness * tint)
    mean = frames.mean((1, 2, 3, 4), keepdim=True)
    frames = mean + (frames - mean) * contrast
    grey = frames.mean(2, keepdim=True)
    return (grey + (frames - grey) * saturation).clamp(0, 255)
