from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tdseg
from tdseg.errors import ConfigError


@torch.inference_mode()
def test_on_a_still_nothing_changes() -> None:
    model = tdseg.load("lite0-camvid")
    remembering = tdseg.add_memory(model, frames=3)
    x = model.normalize(
        torch.randint(256, (1, 3, 96, 128), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    )
    expected, _ = model.step(x)
    out = remembering.forward_clip(x[None].expand(-1, 4, -1, -1, -1)).logits
    for t in range(4):
        assert (out[0, t].argmax(0) == expected[0].argmax(0)).float().mean() > 0.999


@torch.inference_mode()
def test_noise_is_averaged_away() -> None:
    model = tdseg.load("lite0-camvid").fuse()
    remembering = tdseg.add_memory(tdseg.load("lite0-camvid")).fuse()
    from tdseg.street import render_street

    image = torch.from_numpy(next(iter(render_street(3, num_frames=1, size=(120, 160)))).image).permute(2, 0, 1)
    noise = 10 * torch.randn(8, *image.shape, generator=torch.Generator().manual_seed(0))
    frames = model.normalize((image + noise).clamp(0, 255).to(torch.uint8))[None]

    def flips(of: torch.Tensor) -> float:
        masks = of[0].argmax(1)
        return float((masks[5:] != masks[4:-1]).float().mean())

    with_memory, without = (flips(each.forward_clip(frames).logits) for each in (remembering, model))
    assert with_memory < 0.8 * without


def test_it_is_a_model_as_any_other(tmp_path: Path) -> None:
    remembering = tdseg.add_memory(tdseg.create_model("psp18", num_classes=5), frames=2)
    assert remembering.config.name == "td2-psp18"
    tdseg.save(remembering, tmp_path / "model.safetensors")
    assert tdseg.load(tmp_path / "model.safetensors").config == remembering.config
    again = tdseg.add_memory(tdseg.load("lite0-camvid"))
    for key, value in tdseg.add_memory(tdseg.load("lite0-camvid")).state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key


def test_what_cannot_have_one() -> None:
    with pytest.raises(ConfigError, match="per-frame"):
        tdseg.add_memory(tdseg.load("td4-lite0-camvid"))
    with pytest.raises(ConfigError, match="fuse"):
        tdseg.add_memory(tdseg.load("lite0-camvid").fuse())
    with pytest.raises(ConfigError, match="frames=17"):
        tdseg.add_memory(tdseg.load("lite0-camvid"), frames=17)
    with pytest.raises(ConfigError, match="frames=1"):
        tdseg.add_memory(tdseg.load("lite0-camvid"), frames=1)
