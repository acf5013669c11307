from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from support.factory import random_model
from tdseg.models.winograd import WinogradConv2d, transforms


def test_transforms_filter() -> None:
    """Four outputs of a correlation with three taps, exactly."""
    matrices = transforms()
    signal, taps = torch.arange(6, dtype=torch.float64).exp(), torch.tensor([3.0, -1.0, 0.5], dtype=torch.float64)
    found = matrices.output @ ((matrices.filter @ taps) * (matrices.input @ signal))
    torch.testing.assert_close(found, torch.stack([signal[i : i + 3] @ taps for i in range(4)]))


@torch.inference_mode()
@settings(max_examples=30, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    dilation=st.sampled_from([1, 2, 4, 8]),
    batch=st.integers(1, 2),
    bias=st.booleans(),
    most_bytes=st.sampled_from([1, 2**20, 2**30]),
)
def test_same_as_the_convolution(
    height: int, width: int, dilation: int, batch: int, bias: bool, most_bytes: int
) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=dilation, dilation=dilation, bias=bias).double()
    x = torch.randn(batch, 5, height, width, dtype=torch.float64)
    with pytest.MonkeyPatch.context() as patch:  # one row of tiles at a time, a few, all
        patch.setattr("tdseg.models.winograd._MOST_BYTES", most_bytes)
        patch.setattr("tdseg.models.winograd._LEAST_TILES", 0)
        patch.setattr("tdseg.models.winograd._MOST_WASTE", 1e9)
        torch.testing.assert_close(WinogradConv2d(conv)(x), conv(x), rtol=1e-12, atol=1e-12)


@torch.inference_mode()
def test_rounds_hardly_more() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(256, 256, 3, padding=2, dilation=2)
    x = torch.randn(1, 256, 48, 80).relu()
    fast, plain, exact = WinogradConv2d(conv)(x), conv(x), copy.deepcopy(conv).double()(x.double())
    largest = exact.abs().max()
    assert (plain - exact).abs().max() / largest < 3e-6
    assert (fast - exact).abs().max() / largest < 3e-6


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(128, 128, 1),
        nn.Conv2d(128, 128, 3),
        nn.Conv2d(128, 128, 3, padding=1, stride=2),
        nn.Conv2d(128, 128, 3, padding=1, groups=128),
        nn.Conv2d(64, 128, 3, padding=1),
    ],
    ids=["1x1", "valid", "strided", "depthwise", "narrow"],
)
def test_others_are_left(conv: nn.Conv2d) -> None:
    assert not WinogradConv2d.fits(conv)


@torch.inference_mode()
def test_small_pictures_are_left_to_the_convolution() -> None:
    conv = nn.Conv2d(128, 128, 3, padding=4, dilation=4)
    x = torch.randn(1, 128, 17, 33)
    torch.testing.assert_close(WinogradConv2d(conv)(x), conv(x), rtol=0, atol=0)


@torch.inference_mode()
def test_whole_network() -> None:
    model = random_model("td2-psp18", num_classes=5)
    frames = torch.randn(1, 3, 3, 256, 512)
    fused = model.fuse(winograd=True)
    assert sum(isinstance(module, WinogradConv2d) for module in fused.modules()) == 2 * 12
    expected, found = model.forward_clip(frames).logits, fused.forward_clip(frames).logits
    assert (found - expected).abs().max() / expected.abs().max() < 1e-5
