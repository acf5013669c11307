from __future__ import annotations

from typing import get_args

import pytest
import torch

from tdseg.models.head import Head, HeadKind


@pytest.mark.parametrize("kind", get_args(HeadKind))
@pytest.mark.parametrize("upscale", [1, 2, 4])
def test_a_new_head_is_smooth_inside_of_each_cell(kind: HeadKind, upscale: int) -> None:
    head = Head(kind, 8, 16, 5, upscale).eval()
    logits = head(torch.randn(2, 8, 6, 7))
    assert logits.shape == (2, 5, 6 * upscale, 7 * upscale)
    corners = logits[..., ::upscale, ::upscale]
    assert corners[0].unique().numel() > 100  # from cell to cell, and from class to class, they differ
    cells = corners.repeat_interleave(upscale, -2).repeat_interleave(upscale, -1)
    torch.testing.assert_close(logits, cells, rtol=0, atol=1e-6)


def test_positions_of_a_cell_learn_apart() -> None:
    head = Head("conv", 8, 16, 5, 2)
    head(torch.randn(2, 8, 6, 7))[..., ::2, ::2].sum().backward()
    assert head.classify.weight.grad is not None
    assert head.classify.weight.grad.flatten(1).any(1).tolist() == [True, False, False, False] * 5
