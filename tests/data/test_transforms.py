from __future__ import annotations

from typing import Any

import torch

from tdseg.data.clip import Clip
from tdseg.data.transforms import Augmentation, Augmenter, warp
from tdseg.inference.stream import resized
from tdseg.metrics.iou import VOID

PLAIN = {"colour": 0.0, "tint": 0.0}
UPRIGHT: dict[str, Any] = {"aspect": 1.0, "rotation": 0.0}
SIZE = (90, 120)
"""Of the pictures here, and of the network's input."""


def still(seed: int = 0) -> Clip:
    """A smooth picture whose label is the left or the right half."""
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed)) * 255
    image = torch.nn.functional.interpolate(coarse, (90, 120), mode="bicubic").clamp(0, 255)
    label = (torch.arange(120) >= 60).to(torch.uint8).expand(1, 90, 120)
    return Clip(image.to(torch.uint8), label.contiguous())


def batch_of(clips: list[Clip], length: int, seed: int = 0, **fields: object):  # type: ignore[no-untyped-def]
    config = Augmentation.parse({"crop": (64, 96), **PLAIN, **fields}, where="test")
    generators = [torch.Generator().manual_seed(seed + 100 * place) for place in range(len(clips))]
    return Augmenter(config, length, SIZE)(clips, generators)


def test_shapes_and_determinism() -> None:
    clips = [still(0), still(1)]
    first, second = batch_of(clips, 4, noise=9.0, blur=0.5), batch_of(clips, 4, noise=9.0, blur=0.5)
    assert first.frames.shape == (2, 4, 3, 64, 96)
    assert first.labels.shape == (2, 4, 64, 96)
    assert first.labels.dtype == torch.int64
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first.frames, batch_of(clips, 4, seed=1).frames)


def test_identity_view() -> None:
    clip = still()
    config = {"crop": SIZE, "scale": (1.0, 1.0), **UPRIGHT}
    batches = [batch_of([clip], 1, seed=seed, **config) for seed in range(8)]
    plain = [b for b in batches if b.views[0, 0, 0, 0] > 0]  # not flipped
    assert 0 < len(plain) < len(batches)
    for batch in plain:
        torch.testing.assert_close(batch.frames[0], clip.frames.float(), atol=0.01, rtol=0)
        assert torch.equal(batch.labels[0], clip.labels.long())


def test_camera_motion_is_smooth_and_known() -> None:
    batch = batch_of([still()], 4, scale=(1.2, 1.2))
    assert batch.rigid.all()
    assert not torch.equal(batch.views[0, 0], batch.views[0, 3])
    unwarped = (batch.frames[:, 0] - batch.frames[:, 3]).abs().mean()
    moved, seen = warp(batch.frames[:, 0], batch.views[:, 0], batch.views[:, 3])
    warped = ((moved - batch.frames[:, 3]).abs().mean(1) * seen).sum() / seen.sum()
    assert seen.float().mean() > 0.8
    assert warped < 0.3 * unwarped


def test_image_and_label_move_together() -> None:
    image = torch.zeros(1, 3, 90, 120, dtype=torch.uint8)
    image[..., 60:] = 255
    clip = Clip(image, still().labels)
    for seed in range(5):
        batch = batch_of([clip], 3, seed=seed)
        known = batch.labels != VOID
        bright = batch.frames.mean(2) > 127
        assert (bright[known] == (batch.labels[known] == 1)).float().mean() > 0.97


def test_things_are_as_large_as_in_use_whatever_the_size_of_the_files() -> None:
    """Ten stripes across the picture are 12 pixels wide each where the network's input is 120 pixels wide."""
    for height, width in ((45, 60), SIZE, (360, 480), (600, 1200)):
        stripes = (torch.arange(width) * 10 // width).to(torch.uint8).expand(1, height, width).contiguous()
        clip = Clip(torch.zeros(1, 3, height, width, dtype=torch.uint8), stripes)
        for seed in range(4):
            row = batch_of([clip], 1, seed=seed, scale=(1.0, 1.0), **UPRIGHT).labels[0, 0, 32]
            edges = (row[1:] != row[:-1]).nonzero().flatten()
            assert len(edges) >= 6
            assert (edges.diff() - 12).abs().max() <= 1


def test_large_files_are_resized_as_in_use() -> None:
    """What is finer than a pixel of the network's input is its mean there; it does not come and go with the crop."""
    fine = (torch.randint(0, 2, (1, 1, 720, 960), generator=torch.Generator().manual_seed(0)) * 255).to(torch.uint8)
    clip = Clip(fine.expand(1, 3, -1, -1).contiguous(), torch.zeros(1, 720, 960, dtype=torch.uint8))
    seen = batch_of([clip], 1, crop=SIZE, scale=(1.0, 1.0), **UPRIGHT).frames[0, 0]
    in_use = resized(fine[0].expand(3, -1, -1).permute(1, 2, 0).numpy(), SIZE)[0].float()
    assert min((seen - in_use).abs().max(), (seen.flip(-1) - in_use).abs().max()) < 1  # in use, rounded to bytes


def test_a_turned_crop_stays_inside_where_it_can() -> None:
    for seed in range(20):
        batch = batch_of([still()], 1, seed=seed, scale=(1.5, 1.5), aspect=1.0, rotation=15.0)
        assert (batch.labels != VOID).all()


def test_outside_the_source_is_ignored() -> None:
    batch = batch_of([still()], 1, scale=(0.4, 0.4), aspect=1.0)
    assert (batch.labels == VOID).float().mean() > 0.3


def test_video_keeps_its_own_motion() -> None:
    video = Clip(still().frames.expand(4, -1, -1, -1), still().labels.expand(4, -1, -1))
    batch = batch_of([video], 4)
    assert not batch.rigid.any()
    assert torch.equal(batch.views[0, 0], batch.views[0, 3])


def test_a_clip_does_not_depend_on_the_others() -> None:
    """Clips of several sizes and kinds in one batch are what each would be alone."""
    wide = Clip(torch.nn.functional.pad(still(2).frames, (0, 40)), torch.nn.functional.pad(still(2).labels, (0, 40)))
    video = Clip(still(3).frames.expand(4, -1, -1, -1), still(3).labels.expand(4, -1, -1))
    clips = [still(0), wide, video, still(1)]
    fields: dict[str, Any] = {"colour": 0.4, "tint": 0.1, "noise": 9.0, "blur": 0.5, "flicker": 0.2}
    together = batch_of(clips, 4, **fields)
    config = Augmentation.parse({"crop": (64, 96), **fields}, where="test")
    for place, clip in enumerate(clips):
        alone = Augmenter(config, 4, SIZE)([clip], [torch.Generator().manual_seed(100 * place)])
        for one, many in zip(alone, together, strict=True):
            torch.testing.assert_close(one[0], many[place], atol=1e-3, rtol=1e-5)


def test_zooms_of_a_list() -> None:
    zooms = (0.75, 1.0, 2.0)
    seen = set()
    for seed in range(20):
        batch = batch_of([still()], 1, seed=seed, scales=zooms, **UPRIGHT)
        seen.add(round(64 / 90 / float(batch.views[0, 0, 1, 1]), 4))
    assert seen == set(zooms)


def test_noise_has_the_strength_asked_for() -> None:
    grey = Clip(torch.full((1, 3, 90, 120), 128, dtype=torch.uint8), torch.zeros(1, 90, 120, dtype=torch.uint8))
    noise = torch.cat([batch_of([grey], 4, seed=seed, noise=20.0).frames - 128 for seed in range(8)])
    strengths = noise.std((2, 3, 4)).flatten()
    assert strengths.max() < 20.5
    assert 6 < strengths.mean() < 14
    first, second = noise[0, 0].flatten(), noise[0, 1].flatten()
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 0.05
