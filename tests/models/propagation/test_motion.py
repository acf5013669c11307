"""Motion of a picture: found where it is, nothing where the picture stands still, not believed where it changed."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from support.panning import pan
from tdseg.models.propagation.motion import MOTIONS, MotionField, carried, validity

SIZE = (192, 256)
SOURCES = list(MOTIONS)


def greys(frames: Tensor) -> list[Tensor]:
    """(1, 1, H/2, W/2) of each."""
    return [F.avg_pool2d(frame.mean(1, keepdim=True), 2) for frame in frames.unbind(1)]


def find(source: str, pair: Sequence[Tensor], scale: int = 2) -> MotionField:
    before, now = pair
    if source == "dis":
        pytest.importorskip("cv2", reason="DIS flow needs the extra 'metrics'")
    found: MotionField = MOTIONS[source]()(now, before, scale)
    return found


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("step", [(4, -4), (0, 8), (-8, 16), (3, 5), (1, -1)])
def test_known_motion_is_found(source: str, step: tuple[int, int]) -> None:
    displacement, validity = find(source, greys(pan(2, step, SIZE)))
    known = torch.tensor([-step[1] / 4, -step[0] / 4])[None, :, None, None]
    inner = (..., slice(8, -8), slice(8, -8))  # what came into the picture has no earlier place
    assert (displacement - known)[inner].abs().mean() < 0.2
    assert validity[inner].mean() > 0.95


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_moves_in_a_still(source: str) -> None:
    (picture,) = greys(pan(1, size=SIZE))
    displacement, validity = find(source, (picture, picture.clone()))
    assert not displacement.any()
    assert (validity == 1).all()
    noise = torch.randn(2, *picture.shape, generator=torch.Generator().manual_seed(0))
    assert not find(source, list(picture + 0.7 * noise)).displacement.any()


@pytest.mark.parametrize("source", SOURCES)
def test_what_was_not_there_before_is_not_valid(source: str) -> None:
    """A bright board appears before a wall; the wall that it leaves again looks like the wall around it."""
    before, now = (picture / 4 for picture in greys(pan(2, size=SIZE)))
    now[..., 30:60, 40:60] = 220
    validity = find(source, (before, now)).validity[0, 0]  # cells of two pixels of the picture
    assert validity[17:28, 22:28].max() < 0.1
    assert validity[:8].min() > 0.95
    assert validity[:, 40:].min() > 0.95


@pytest.mark.parametrize("source", SOURCES)
def test_after_a_cut_nothing_is_valid(source: str) -> None:
    (before,), (now,) = (greys(pan(1, size=SIZE, seed=seed)) for seed in (1, 2))
    assert not find(source, (before, now)).validity.any()
    assert not find(source, (torch.zeros_like(now), now)).validity.any()


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
def test_any_resolution_of_scores(scale: int) -> None:
    displacement, validity = find("matching", greys(pan(2, (4, -8), SIZE)), scale=scale)
    assert displacement.shape == (1, 2, 24 * scale, 32 * scale)
    assert validity.shape == (1, 1, 24 * scale, 32 * scale)
    middle = displacement[0, :, 8 * scale : -8 * scale, 8 * scale : -8 * scale].mean((1, 2))
    torch.testing.assert_close(middle, torch.tensor([1.0, -0.5]) * scale, atol=0.1 * scale, rtol=0)


@pytest.mark.parametrize("source", SOURCES)
def test_pictures_of_a_batch_are_apart(source: str) -> None:
    pairs = [greys(pan(2, step, SIZE, seed)) for seed, step in enumerate([(4, 0), (0, 0), (0, -8)])]
    alone = [find(source, pair) for pair in pairs]
    joint = find(source, [torch.cat(pictures) for pictures in zip(*pairs, strict=True)])
    for index, one in enumerate(alone):
        torch.testing.assert_close(joint.displacement[index], one.displacement[0], atol=1e-3, rtol=0)
        torch.testing.assert_close(joint.validity[index], one.validity[0], atol=1e-3, rtol=0)


def test_maps_are_carried_by_whole_cells() -> None:
    x = torch.arange(20.0).view(1, 1, 4, 5)
    right = torch.zeros(1, 2, 4, 5)
    right[:, 0] = 1
    torch.testing.assert_close(carried(x, right)[..., :-1], x[..., 1:], atol=1e-4, rtol=0)
    assert carried(x, right)[..., -1].abs().max() < 1e-4  # nothing is known outside
    torch.testing.assert_close(carried(x, right, "border")[..., -1], x[..., -1], atol=1e-4, rtol=0)


def test_precision_around_it_does_not_matter() -> None:
    pair = greys(pan(2, (3, 5), SIZE))
    with torch.autocast("cpu", torch.bfloat16):
        inside = find("matching", pair)
    for found, expected in zip(inside, find("matching", pair), strict=True):
        assert torch.equal(found, expected)


def test_of_a_picture_that_is_another_one_nothing_is_valid() -> None:
    """What looks the same by chance, where things moved farther than is looked, shall have no vote."""
    for changed, rest in ((0.1, 1.0), (0.4, 0.0)):
        difference = torch.zeros(1, 1, 40, 100)
        difference[..., : int(100 * changed)] = 200
        found = validity(difference)[..., int(100 * changed) + 1 :]
        torch.testing.assert_close(found, torch.full_like(found, rest))


def test_no_number_in_a_displacement_does_not_end_the_process() -> None:
    maps, displacement = torch.rand(2, 3, 16, 24, requires_grad=True), torch.full((2, 2, 16, 24), float("nan"))
    for padding in ("border", "zeros"):
        torch.autograd.backward(carried(maps, displacement, padding).sum())
