from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tdseg
from support.factory import random_model
from tdseg.errors import ConfigError
from tdseg.models.propagation.consensus import ConsensusCode


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


@torch.inference_mode()
def test_several_models_take_turns_in_one_window() -> None:
    models = [random_model("lite0s"), random_model("lite0s")]
    for weight in models[1].parameters():
        weight.mul_(0.9)
    remembering = tdseg.add_memory(models, frames=4)
    x = models[0].normalize(torch.randint(256, (1, 3, 96, 128), dtype=torch.uint8))
    state, alone = (
        remembering.initial_state(),
        [model.advance(model.encode(x, 0), model.initial_state())[0] for model in models],
    )
    for turn in range(8):
        own = remembering.encode(x, turn)
        torch.testing.assert_close(own.code.value, alone[turn % 2])
        logits, state = remembering.advance(own, state)
    torch.testing.assert_close(logits, (alone[0] + alone[1]) / 2)


@torch.inference_mode()
def test_views_are_of_the_frame_as_it_is() -> None:
    model = random_model("lite0s")
    plain, mirrored, zoomed = (
        tdseg.add_memory(model, frames=2, views=views) for views in ([], [{"mirror": True}], [{"zoom": 1.5}])
    )
    x = model.normalize(torch.randint(256, (1, 3, 96, 130), dtype=torch.uint8))
    expected = plain.encode(x, 0).code.value
    even = x[..., :128]  # of whole cells, so that padding is the same on both sides of the mirror
    flipped = mirrored.encode(even.flip(-1), 0).code.value.flip(-1)
    torch.testing.assert_close(flipped, plain.encode(even, 0).code.value)
    assert zoomed.encode(x, 0).code.value.shape == expected.shape
    seen, shown = zoomed.encode(x, 0).code, plain.encode(x, 0).code
    assert isinstance(seen, ConsensusCode)
    assert isinstance(shown, ConsensusCode)
    assert torch.equal(seen.grey, shown.grey)  # motion is that of the frame


def test_what_cannot_have_one() -> None:
    with pytest.raises(ConfigError, match="per-frame"):
        tdseg.add_memory(tdseg.load("td4-lite0-camvid"))
    with pytest.raises(ConfigError, match="fuse"):
        tdseg.add_memory(tdseg.load("lite0-camvid").fuse())
    with pytest.raises(ConfigError, match="frames=17"):
        tdseg.add_memory(tdseg.load("lite0-camvid"), frames=17)
    with pytest.raises(ConfigError, match="frames=1"):
        tdseg.add_memory(tdseg.load("lite0-camvid"), frames=1)
    with pytest.raises(ConfigError, match="lite0, lite0s"):
        tdseg.add_memory([tdseg.load("lite0-camvid"), tdseg.load("lite0s-camvid")])
    with pytest.raises(ConfigError, match="no model"):
        tdseg.add_memory([])
    with pytest.raises(ConfigError, match=r"a model, not its name\n.*tdseg\.load"):
        tdseg.add_memory("lite0-camvid")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="one a function"):
        tdseg.add_memory([lambda frame: frame])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="does not divide"):
        tdseg.add_memory([tdseg.load("lite0-camvid")] * 2, frames=3)
    with pytest.raises(ConfigError, match="views"):
        tdseg.create_model("td2-psp18", views=[{"mirror": True}])
