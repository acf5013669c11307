"""Augmentation of whole batches of clips, on the device they are on: geometry, then colour, then sensor noise.

Geometry is one homography per frame. A still image becomes a clip by a smooth random camera motion; a real clip gets
the same view for all of its frames. The homographies are returned, because they are exact correspondences that a loss
can use.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from tdseg.config import FrozenConfig
from tdseg.data.clip import IGNORE, Clip


class Augmentation(FrozenConfig):
    """How training clips are drawn from data. Ranges are of uniform distributions unless said otherwise."""

    crop: tuple[int, int] = Field(description="(height, width) of the training crops, pixels.")
    scale: tuple[float, float] = Field((0.6, 1.7), description="Zoom of the source, log-uniform.")
    aspect: float = Field(1.25, ge=1, description="Largest stretch of width against height, log-uniform.")
    rotation: float = Field(5.0, ge=0, description="Largest rotation, degrees.")
    motion: float = Field(1.0, ge=0, description="Strength of the camera motion that turns stills into clips.")
    colour: float = Field(0.4, ge=0, description="Largest relative change of brightness, contrast and saturation.")
    tint: float = Field(0.08, ge=0, description="Largest relative gain of each colour channel.")
    noise: float = Field(0.0, ge=0, description="Largest standard deviation of per-frame pixel noise, units of 0..255.")
    flicker: float = Field(0.0, ge=0, description="Largest relative change of brightness from frame to frame.")
    blur: float = Field(0.0, ge=0, le=1, description="Probability that a frame is blurred.")


class Batch(NamedTuple):
    """Clips as training sees them."""

    frames: Tensor
    """(B, T, 3, h, w) float32 RGB in 0..255."""
    labels: Tensor
    """(B, T, h, w) int64; IGNORE outside the source and where unknown."""
    views: Tensor
    """(B, T, 3, 3): frame coordinates to source coordinates, both normalised to -1..1 (x, y)."""
    rigid: Tensor
    """(B,) bool: the clip was made from a still, so `views` is the exact motion of every pixel."""


def make_batch(clips: list[Clip], length: int, config: Augmentation, generator: Generator) -> Batch:
    """Draw one view per frame and sample it; stills become clips of `length` frames.

    Args:
        clips: each of 1 or `length` frames, any size.
        length: T.
        config: ranges.
        generator: source of all randomness, on the CPU, so that a batch is reproducible on any device.
    """
    frames, labels, views = [], [], []
    for clip in clips:
        view = _random_views(clip, length, config, generator)
        image, label = _sample(clip, view, config.crop)
        frames.append(image)
        labels.append(label)
        views.append(view)
    rigid = torch.tensor([len(clip.frames) == 1 for clip in clips])
    images = _corrupt(_colour(torch.stack(frames), config, generator), config, generator)
    return Batch(images, torch.stack(labels), torch.stack(views), rigid)


def warp(x: Tensor, views_from: Tensor, views_to: Tensor) -> tuple[Tensor, Tensor]:
    """Move maps of one view of a scene to another view of it.

    Args:
        x: (N, C, h, w), seen through `views_from`.
        views_from, views_to: (N, 3, 3), as in Batch.views.

    Returns:
        x as `views_to` sees it, (N, C, h, w), and where it was in sight, (N, h, w) bool.
    """
    grid = _grid(torch.linalg.inv(views_from) @ views_to, (x.shape[-2], x.shape[-1]))
    return F.grid_sample(x, grid, align_corners=False), (grid.abs() <= 1).all(-1)


def _random_views(clip: Clip, length: int, config: Augmentation, generator: Generator) -> Tensor:
    """(T, 3, 3) homographies from the crop to the source."""

    def draw(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    height, width = clip.frames.shape[-2:]
    zoom = math.exp(draw(math.log(config.scale[0]), math.log(config.scale[1])))
    stretch = math.exp(draw(-1, 1) * math.log(config.aspect) / 2)
    half_x = config.crop[1] / width / zoom / stretch  # half the crop, in normalised source units
    half_y = config.crop[0] / height / zoom * stretch
    angle = math.radians(draw(-config.rotation, config.rotation))
    flip = -1.0 if draw(0, 1) < 0.5 else 1.0
    ratio = width / height
    cos, sin = math.cos(angle), math.sin(angle)
    x = draw(-1, 1) * max(0.0, 1 - half_x)
    y = draw(-1, 1) * max(0.0, 1 - half_y)
    base = torch.tensor(
        [[cos * half_x * flip, -sin * half_y / ratio, x], [sin * half_x * flip * ratio, cos * half_y, y], [0, 0, 1.0]]
    )
    if len(clip.frames) > 1 or length == 1:
        return base.expand(length, 3, 3)
    return base @ _camera_motion(length, config.motion, generator)


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


def _sample(clip: Clip, views: Tensor, crop: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Frames (T, 3, h, w) float in 0..255 and labels (T, h, w) int64, through the views."""
    grid = _grid(views.to(clip.frames.device), crop)
    size = (len(views), -1, -1, -1)
    frames = F.grid_sample(clip.frames.float().expand(size), grid, padding_mode="border", align_corners=False)
    shifted = (clip.labels.float() - IGNORE)[:, None]  # so that the zeros outside the source become IGNORE
    labels = F.grid_sample(shifted.expand(size), grid, mode="nearest", align_corners=False) + IGNORE
    return frames, labels[:, 0].round().long()


def _grid(views: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, h, w, 2) sampling positions of the pixel centres seen through homographies (N, 3, 3)."""
    height, width = size
    ys = (torch.arange(height, device=views.device) * 2 + 1) / height - 1
    xs = (torch.arange(width, device=views.device) * 2 + 1) / width - 1
    points = torch.stack([xs.expand(height, width), ys[:, None].expand(height, width), xs.new_ones(size)], -1)
    x, y, z = (points.view(1, -1, 3) @ views.transpose(1, 2)).unbind(-1)
    return torch.stack([x / z, y / z], -1).view(-1, height, width, 2)


def _colour(frames: Tensor, config: Augmentation, generator: Generator) -> Tensor:
    """Brightness, contrast, saturation and tint: one draw for each clip, the same for all of its frames."""
    count = len(frames)

    def factor(strength: float, channels: int = 1) -> Tensor:
        draw = 1 + (torch.rand(count, 1, channels, 1, 1, generator=generator) * 2 - 1) * strength
        return draw.to(frames.device)

    frames = frames * factor(config.colour) * factor(config.tint, 3)
    mean = frames.mean((1, 2, 3, 4), keepdim=True)
    frames = mean + (frames - mean) * factor(config.colour)
    grey = frames.mean(2, keepdim=True)
    return (grey + (frames - grey) * factor(config.colour)).clamp(0, 255)


def _corrupt(frames: Tensor, config: Augmentation, generator: Generator) -> Tensor:
    """Noise, flicker and blur, drawn anew for every frame: what one frame loses, the memory can give back."""
    shape = (*frames.shape[:2], 1, 1, 1)

    def uniform() -> Tensor:
        return torch.rand(shape, generator=generator).to(frames.device)

    if config.blur:
        soft = F.avg_pool2d(frames.flatten(0, 1), 3, 1, 1, count_include_pad=False).view_as(frames)
        frames = torch.where(uniform() < config.blur, soft, frames)
    if config.flicker:
        frames = frames * (1 + (uniform() * 2 - 1) * config.flicker)
    if config.noise:
        noise = torch.randn(frames.shape, generator=generator).to(frames.device)
        frames = frames + noise * uniform() * config.noise
    return frames.clamp(0, 255)
