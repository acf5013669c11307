from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tdseg
from support import pretrained
from support.pretrained import save_pretrained, save_tokenizer
from support.small import moving_frames, write_clip
from tdseg.cli import DONE, REFUSED, main
from tdseg.runtime.memory import RememberingNetwork


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", 6)


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("segformer")
    save_pretrained(folder, pretrained.segformer, size={"shortest_edge": 64})
    return folder


def test_in_python(segformer: Path, clip: Path) -> None:
    network = tdseg.load(segformer, runtime="auto")
    remembering = tdseg.add_memory(network, frames=4)
    assert isinstance(remembering, RememberingNetwork)
    frames = moving_frames(6)
    with_memory, without = tdseg.Stream(remembering), tdseg.Stream(network)
    masks = [(with_memory.step(frame).mask, without.step(frame).mask) for frame in frames]
    assert masks[0][0].shape == (64, 96)
    assert np.mean(masks[0][0] == masks[0][1]) > 0.98  # nothing to remember yet, but the grid is another
    assert len(np.unique(masks[-1][0])) > 1
    assert any((one != other).any() for one, other in masks[1:])
    by_name = [result.mask for result in tdseg.segment(clip, segformer)]
    by_hand = [result.mask for result in tdseg.segment(clip, tdseg.add_memory(network))]
    np.testing.assert_array_equal(by_name, by_hand)


def test_size_follows_the_frames(segformer: Path) -> None:
    stream = tdseg.Stream(tdseg.load(segformer))
    assert stream.size == (64, 114)
    for size, fitted in (((90, 120), (64, 85)), ((120, 90), (85, 64))):
        result = stream.step(moving_frames(1, size)[0])
        assert (stream.size, result.mask.shape) == (fitted, size)


@pytest.mark.parametrize("memory", [(), ("--memory", "0"), ("--memory", "2")])
def test_on_the_command_line(
    memory: tuple[str, ...], segformer: Path, clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["segment", str(clip), "--model", str(segformer), "-o", str(tmp_path / "out"), "--write", "masks"]
    assert main([*arguments, *memory]) == DONE
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert (summary["frames"], summary["runtime"], summary["size"]) == (6, "torch", [64, 96])
    assert len(list((tmp_path / "out/masks").iterdir())) == 6
    assert capsys.readouterr().err == ""


def test_a_universal_model(tmp_path: Path, clip: Path) -> None:
    save_pretrained(tmp_path, pretrained.oneformer)
    save_tokenizer(tmp_path)
    results = list(tdseg.segment(clip, tmp_path))
    assert len(results) == 6
    assert float(results[-1].confidence.max()) > 1 / 5


def test_refused_on_the_command_line(segformer: Path, clip: Path, tmp_path: Path) -> None:
    arguments = ["segment", str(clip), "--model", str(segformer), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--runtime", "openvino"]) == REFUSED
    assert main([*arguments, "--size", "20x20"]) == REFUSED
    save_pretrained(tmp_path / "eomt", pretrained.eomt, **pretrained.SQUARE)
    assert main([*arguments[:2], "--model", str(tmp_path / "eomt"), *arguments[4:], "--size", "96x96"]) == REFUSED
    assert not (tmp_path / "out").exists()


def test_transformers_is_imported_for_its_models_alone() -> None:
    code = "import tdseg, sys; tdseg.load('lite0s-camvid'); assert 'transformers' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
