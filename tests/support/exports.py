"""Small models of every kind that is exported."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import nn

import tdseg
from support.small import SIZE
from tdseg.errors import WeightsError
from tdseg.models.subnets import SubNetwork
from tdseg.models.tdnet import TDNet
from tdseg.zoo.catalog import create_model

AsOnnx = Callable[[Callable[[], TDNet]], Path]
"""Where the export to ONNX is of what a function makes; see `tests/conftest.py`."""


def independent_paths() -> TDNet:
    """Two paths with weights of their own, and attention that uses what memory there is."""
    torch.manual_seed(0)
    fields = {"propagation": "attention", "weight_sets": None, "size": SIZE}
    return create_model("td2-lite0", d_k=16, d_v=16, head_channels=16, **fields)


def per_frame() -> TDNet:
    torch.manual_seed(0)
    return create_model("lite0s", head_channels=16, size=SIZE)


def consensus() -> TDNet:
    torch.manual_seed(0)
    return create_model("td4-lite0s", head_channels=16, size=SIZE)


def views() -> TDNet:
    """Paths of one network that see the frames at another zoom, and mirrored."""
    torch.manual_seed(0)
    return create_model("td4-lite0s", head_channels=16, size=SIZE, views=[{"zoom": 1.25}, {"mirror": True}])


class Thin(SubNetwork):
    """Three convolutions: little to trace."""

    channels = 16

    def __init__(self) -> None:
        super().__init__()
        steps = [(3, 8), (8, 8), (8, self.channels)]
        self.layers = nn.Sequential(*(nn.Conv2d(*step, 3, stride=2, padding=1) for step in steps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """z."""
        return self.layers(x)  # type: ignore[no-any-return]


def thin_paths() -> TDNet:
    """Two paths with weights of their own, and attention."""
    torch.manual_seed(0)
    return tdseg.distribute(Thin, paths=2, num_classes=11, d_k=16, d_v=16, head_channels=16, size=SIZE)


def thin_views() -> TDNet:
    """As `views`."""
    torch.manual_seed(0)
    fields = {"propagation": "consensus", "weight_sets": 1, "views": [{"zoom": 1.25}, {"mirror": True}]}
    return tdseg.distribute(Thin, paths=4, num_classes=11, head_channels=16, size=SIZE, **fields)


def require_extra() -> None:
    """Skip a file of tests where a package that exports need is missing."""
    for package in ("onnxscript", "onnxruntime", "openvino"):
        pytest.importorskip(package, reason="exports need the extra 'export'")


@contextmanager
def int8_of_several_paths() -> Iterator[None]:
    """Skip where OpenVINO itself compiles no quantised graph that chooses among paths: it depends on the processor."""
    try:
        yield
    except WeightsError as error:
        if "cannot load it (data size" in error.got:
            pytest.skip(f"OpenVINO on this processor: {error.got.rpartition('(')[2]}")
        raise
