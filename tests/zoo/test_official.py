from __future__ import annotations

import pickle
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import tdseg
from support.hostile import Hostile
from support.reference import FILES, FIXTURES, FULL, Golden, draw_state, golden
from tdseg.cli import DONE, REFUSED, main
from tdseg.errors import ConfigError, OutputError, WeightsError
from tdseg.masks import classes
from tdseg.models.tdnet import TDNet
from tdseg.zoo.catalog import model_config
from tdseg.zoo.official import CONVERTIBLE, convert
from tdseg.zoo.official_keys import key_table

SMALL_NORM = (9, 17)
TOLERANCE = 1e-4
"""Relative to the largest logit. Two hops exchanged make 0.03, the oldest frame dropped 0.0017; float32 itself, 5e-5
in FANet's undivided attention (the reference is 3e-5 from its float64 form) and under 1e-5 in the others."""


def converted(state: Any, folder: Path, model: str, **options: Any) -> TDNet:
    torch.save(state, folder / "official.pkl")
    convert(folder / "official.pkl", folder / "ours.safetensors", model=model, **options)
    return tdseg.load(folder / "ours.safetensors")


@torch.inference_mode()
def outputs(model: TDNet, reference: Golden) -> Tensor:
    """What the reference stores, by `step`, and by `forward_clip` where a clip is what it stores."""
    m, frames = model.config.paths, reference.frames
    if reference.by_path:
        clips = [
            model.forward_clip(frames[None], model.initial_state((path + 1) % m), "last").logits[0] for path in range(m)
        ]
        return torch.cat(clips)
    logits, state = [], None
    for frame in frames:
        out, state = model.step(frame[None], state)
        logits.append(out)
    return torch.cat(logits)


def assert_same(logits: Tensor, reference: Golden, first: int = 0) -> None:
    found, expected = logits[..., :: reference.step, :: reference.step], reference.logits[first:]
    assert found.shape == expected.shape
    assert found.isfinite().all()
    assert (found - expected).abs().max() / expected.abs().max() <= TOLERANCE


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("folder", [FIXTURES, pytest.param(FULL, marks=pytest.mark.slow)], ids=["fixtures", "full"])
def test_parity_with_the_official_code(folder: Path, file: str, tmp_path: Path) -> None:
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here: the fixtures hold every fourth value of each row and column of it")
    reference = golden(folder, file)
    options = {"memory_stride": reference.memory_stride} if reference.model.startswith("td") else {}
    model = converted(reference.state, tmp_path, reference.model, **options)
    assert_same(outputs(model, reference), reference)
    assert_same(outputs(model.fuse(), reference), reference)


@torch.inference_mode()
@pytest.mark.parametrize("file", ["td4-psp18", "td2-psp50"])
def test_clips_from_every_phase_agree_too(file: str, tmp_path: Path) -> None:
    """A clip that starts at any frame of the stream, with the state the stream had there."""
    reference = golden(FIXTURES, file)
    model = converted(reference.state, tmp_path, reference.model).fuse()
    state = None
    for first in range(model.config.paths):
        clip = model.forward_clip(reference.frames[None, first:], state, batch_paths=first % 2 == 1)
        assert_same(clip.logits[0], reference, first)
        _, state = model.step(reference.frames[first : first + 1], state)


@cache
def drawn(model: str) -> dict[str, Tensor]:
    return draw_state(model, 0, SMALL_NORM)


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_every_tensor_has_its_key(name: str) -> None:
    config = model_config(name, **({"norm": "layer", "norm_size": SMALL_NORM} if name.startswith("td") else {}))
    ours = [entry.ours for entry in key_table(config)]
    own = {key for key in TDNet(config).state_dict() if not key.endswith("num_batches_tracked")}
    assert len(ours) == len(set(ours))
    assert set(ours) == own


def test_checkpoint_of_the_training_code(tmp_path: Path) -> None:
    """Prefixes, auxiliary heads, a teacher and an optimizer: the model in it is the same."""
    plain = converted(drawn("td4-psp18"), tmp_path, "td4-psp18")
    state = {f"module.{key}": value for key, value in draw_state("td4-psp18-train", 0, SMALL_NORM).items()}
    state["module.teacher.head.conv5.3.bias"] = torch.zeros(19)
    checkpoint = {"model_state": state, "epoch": 3, "best_iou": 0.7, "optimizer_state": {"state": {}, "lr": [0.01]}}
    trained = converted(checkpoint, tmp_path, "td4-psp18", overwrite=True)
    for key, value in plain.state_dict().items():
        assert torch.equal(trained.state_dict()[key], value)


def test_configuration_travels_inside(tmp_path: Path) -> None:
    config = converted(drawn("td4-psp18"), tmp_path, "td4-psp18", memory_stride=3).config
    assert (config.norm, config.norm_size, config.memory_stride, config.groups) == ("layer", SMALL_NORM, 3, 2)
    assert config.classes == classes.CITYSCAPES_CLASSES


def test_other_numbers_of_classes(tmp_path: Path) -> None:
    state = dict(drawn("psp18"))
    for key in ("head.conv5.5.weight", "head.conv5.5.bias"):
        state[key] = state[key][:11]
    model = converted(state, tmp_path, "psp18", num_classes=11)
    assert (model.config.num_classes, model.config.classes) == (11, ())


def changed(key: str, value: Tensor | None) -> dict[str, Tensor]:
    state = dict(drawn("td4-psp18"))
    if value is None:
        del state[key]
    else:
        state[key] = value
    return state


@pytest.mark.parametrize(
    ("state", "named"),
    [
        (lambda: changed("enc2.w_ks.1.conv.bias", None), "enc2.w_ks.1.conv.bias missing"),
        (lambda: changed("extra.weight", torch.zeros(1)), "extra.weight unknown"),
        (lambda: changed("head3.conv5.4.weight", torch.zeros(11, 128, 1, 1)), "head3.conv5.4.weight"),
        (lambda: changed("psp2.conv1.0.weight", torch.zeros(256, 512, 1, 1)), "psp2.conv1.0.weight"),
        (lambda: changed("layer_norm2.ln.weight", torch.zeros(7, 7)), "layer_norm2.ln.weight"),
        (lambda: changed("layer_norm1.ln.weight", torch.zeros(1).expand(10**6, 10**6)), "layer_norm1.ln.weight"),
        (lambda: changed("layer_norm1.ln.weight", torch.zeros(9)), "layer_norm1.ln.weight (9,)"),
        (lambda: changed("enc1.w_vs.0.conv.bias", torch.zeros(512).to_sparse()), "enc1.w_vs.0.conv.bias not a plain"),
        (lambda: changed("enc1.w_vs.0.conv.bias", torch.zeros(512, dtype=torch.complex64)), "not a plain tensor"),
        (lambda: changed("enc1.w_vs.0.conv.bias", torch.full((512,), 1e300, dtype=torch.float64)), "not finite"),
        (lambda: {**drawn("td4-psp18"), "module.enc1.w_vs.0.conv.bias": torch.zeros(512)}, "twice"),
        (lambda: changed("atn1_2.fc.0.conv.bias", torch.full((512,), torch.nan)), "atn1_2.fc.0.conv.bias not finite"),
        (lambda: drawn("psp18"), "missing"),
        (lambda: {}, "no state dict"),
        (lambda: [torch.zeros(1)], "no state dict"),
        (lambda: {"model_state": "weights"}, "no state dict"),
    ],
    ids=[
        *("missing", "extra", "misshapen", "rows", "norms differ", "enormous norm", "flat norm", "sparse", "complex"),
        *("overflow", "twice", "NaN", "other model", "empty", "list", "text"),
    ],
)
def test_wrong_weights_are_named(state: Any, named: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"official\.pkl") as error:
        converted(state(), tmp_path, "td4-psp18")
    assert named in str(error.value)
    assert not (tmp_path / "ours.safetensors").exists()


def test_hostile_files_execute_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim, source = tmp_path / "executed", tmp_path / "official.pkl"
    for write in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        write({"weight": Hostile(victim)}, source)
        assert main(["convert", str(source), str(tmp_path / "x.safetensors"), "--model", "td4-psp18"]) == REFUSED
        assert "can run code" in capsys.readouterr().err
    assert not victim.exists()
    assert not (tmp_path / "x.safetensors").exists()


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", "cut"], ids=["empty", "text", "cut"])
def test_damaged_files(content: Any, tmp_path: Path) -> None:
    source = tmp_path / "official.pkl"
    torch.save(drawn("psp18"), source)
    source.write_bytes(source.read_bytes()[:100_000] if content == "cut" else content)
    with pytest.raises(WeightsError, match=r"official\.pkl"):
        convert(source, tmp_path / "ours.safetensors", model="psp18")


def test_bad_names(tmp_path: Path) -> None:
    source, target = tmp_path / "official.pkl", tmp_path / "ours.safetensors"
    with pytest.raises(WeightsError, match="No such file"):
        convert(source, target, model="psp18")
    with pytest.raises(ConfigError, match="td4-psp18"):
        convert(source, target, model="td4-psp19")
    with pytest.raises(OutputError, match=r"\.safetensors"):
        convert(source, tmp_path / "ours.pth", model="psp18")
    target.touch()
    with pytest.raises(OutputError, match="exists"):
        convert(source, target, model="psp18")
    with pytest.raises(ConfigError, match="a model with memory"):
        convert(source, target, model="psp18", memory_stride=3)
    torch.save(drawn("psp18"), source)
    with pytest.raises(OutputError, match="cannot write"):
        convert(source, tmp_path / f"{'x' * 300}.safetensors", model="psp18")
    assert sorted(file.name for file in tmp_path.iterdir()) == [source.name, target.name]


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(drawn("psp18"), tmp_path / "psp18.pkl")
    target = tmp_path / "psp18.safetensors"
    assert main(["convert", str(tmp_path / "psp18.pkl"), str(target), "--model", "psp18"]) == DONE
    assert "psp18, 19 classes" in capsys.readouterr().out
    assert tdseg.load(target).config.name == "psp18"
