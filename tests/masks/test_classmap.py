from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tdseg.masks.classmap import class_map


def resized(logits: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(logits[None], size, mode="bilinear", align_corners=True)[0]


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "size",
    [(61, 97), (8, 12), (5, 7), (540, 31), (1, 1), (2, 2), (9, 13), (15, 23), (16, 24), (3, 200)],
    ids=lambda size: f"{size[0]}x{size[1]}",
)
@pytest.mark.parametrize("smooth", [False, True])
def test_class_map_is_the_argmax_of_the_resized_logits(size: tuple[int, int], smooth: bool) -> None:
    """Larger, smaller and equal sizes; where all cells are mixed, and where few are."""
    logits = resized(random(11, 3, 4), (8, 12)) if smooth else random(11, 8, 12)
    full = resized(logits, size)
    best = full.topk(2, dim=0).values
    mask = class_map(logits.numpy(), size)
    clear = (best[0] - best[1] > 1e-5).numpy()
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(mask[clear], full.argmax(0).numpy()[clear])
    assert mask.dtype == np.uint8


def test_any_memory_layout() -> None:
    logits = random(5, 6, 7).numpy()
    last = np.ascontiguousarray(logits.transpose(1, 2, 0)).transpose(2, 0, 1)
    np.testing.assert_array_equal(class_map(last, (40, 50)), class_map(logits, (40, 50)))


def test_logits_are_left_as_they_are() -> None:
    logits = random(5, 6, 7).numpy()
    before = logits.copy()
    class_map(logits, (40, 50))
    np.testing.assert_array_equal(logits, before)


def test_the_first_of_equal_classes_wins() -> None:
    assert (class_map(np.zeros((3, 4, 4), np.float32), (9, 9)) == 0).all()
    logits = np.zeros((256, 2, 2), np.float32)
    logits[[3, 255]] = 1
    assert (class_map(logits, (5, 5)) == 3).all()
    assert (class_map(logits[::-1], (5, 5)) == 0).all()


def test_a_class_that_wins_at_no_corner_may_win_between() -> None:
    """Where the corners agree it cannot; where they differ, all classes count."""
    logits = np.zeros((3, 2, 2), np.float32)
    logits[0, :, 0] = logits[1, :, 1] = 10
    logits[2] = 9
    assert class_map(logits, (2, 3)).tolist() == [[0, 2, 1]] * 2


def test_two_classes_meet_in_the_middle() -> None:
    logits = np.zeros((2, 2, 2), np.float32)
    logits[0, :, 0] = logits[1, :, 1] = 1
    assert class_map(logits, (4, 8)).tolist() == [[0] * 4 + [1] * 4] * 4
