from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support import pretrained
from support.pretrained import MEAN, SQUARE, STD, save_pretrained, transformers
from support.small import moving_frames
from tdseg.errors import ConfigError
from tdseg.inference.stream import Stream, resized
from tdseg.models.propagation import TDNetState
from tdseg.runtime.external.hugging_face import open_hugging_face
from tdseg.runtime.external.segmenter import HuggingFaceNetwork
from tdseg.runtime.network import Execution
from tdseg.zoo.add_memory import add_memory
from tdseg.zoo.load import prepare

if not hasattr(transformers, "VideomtConfig"):
    pytest.skip("this transformers has no VidEoMT", allow_module_level=True)

FRAMES = moving_frames(5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videomt")
    save_pretrained(folder, pretrained.videomt, **SQUARE)
    # Its processor is one of videos.
    (folder / "preprocessor_config.json").rename(folder / "video_preprocessor_config.json")
    return folder


@pytest.fixture(scope="module")
def network(folder: Path) -> HuggingFaceNetwork:
    return open_hugging_face(folder, "videomt", Execution())


@torch.inference_mode()
def whole_clip(folder: Path, frames: list[Any]) -> Tensor:
    """Log scores (T, C, h, w) of the library's own run over a clip."""
    model = transformers.VideomtForUniversalSegmentation.from_pretrained(folder).eval()
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    clip = torch.cat([resized(frame, (64, 64)) for frame in frames])
    out = model(pixel_values_videos=((clip / 255 - mean) / std)[None])
    shares = out.class_queries_logits.softmax(-1)[..., :-1]
    return torch.einsum("bqc,bqhw->bchw", shares, out.masks_queries_logits.sigmoid()).clamp(min=1e-8).log()


def test_a_stream_is_the_clip(folder: Path, network: HuggingFaceNetwork) -> None:
    expected = whole_clip(folder, FRAMES)
    stream = Stream(network)
    got = torch.cat([stream.step(frame).logits for frame in FRAMES])
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    alone = torch.cat([Stream(network).step(frame).logits for frame in FRAMES])
    torch.testing.assert_close(alone[0], got[0])
    assert (alone[1:] - got[1:]).abs().amax() > 0.1  # what was seen before counts


def test_a_reset_begins_anew(folder: Path, network: HuggingFaceNetwork) -> None:
    stream = Stream(network)
    for frame in FRAMES[:3]:
        stream.step(frame)
    stream.reset()
    got = torch.cat([stream.step(frame).logits for frame in FRAMES[3:]])
    torch.testing.assert_close(got, whole_clip(folder, FRAMES[3:]), rtol=1e-4, atol=1e-4)


def test_streams_do_not_mix(folder: Path, network: HuggingFaceNetwork) -> None:
    clips = [FRAMES, moving_frames(5, seed=1)]
    streams = [Stream(network) for _ in clips]
    got: list[list[Tensor]] = [[], []]
    for pair in zip(*clips, strict=True):
        for index, frame in enumerate(pair):
            got[index].append(streams[index].step(frame).logits)
    for clip, logits in zip(clips, got, strict=True):
        torch.testing.assert_close(torch.cat(logits), whole_clip(folder, clip), rtol=1e-4, atol=1e-4)


def test_it_has_a_memory_of_its_own(folder: Path, network: HuggingFaceNetwork) -> None:
    assert (network.keeps_state, network.config.paths) == (True, 1)
    assert prepare(folder).keeps_state
    with pytest.raises(ConfigError, match="one of its own"):
        add_memory(network)
    with pytest.raises(ConfigError, match="without a memory"):
        prepare(folder, memory=0)


@torch.inference_mode()
def test_videos_as_a_batch(folder: Path, network: HuggingFaceNetwork) -> None:
    clips = [FRAMES, moving_frames(5, seed=1)]
    state = TDNetState()
    for pair in zip(*clips, strict=True):
        images = torch.cat([resized(frame, (64, 64)) for frame in pair])
        scores, state = network.advance(network.encode(images, 0), state)
    expected = [whole_clip(folder, clip)[-1] for clip in clips]
    torch.testing.assert_close(scores, torch.stack(expected), rtol=1e-4, atol=1e-4)
    with pytest.raises(ConfigError, match="1 frames, after 2"):
        network.advance(network.encode(images[:1], 0), state)
