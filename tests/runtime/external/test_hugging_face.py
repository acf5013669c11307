from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from support import pretrained
from support.pretrained import FIVE, MEAN, SQUARE, STD, blobs, save_pretrained, save_tokenizer
from tdseg.config import ModelConfig
from tdseg.errors import ConfigError, WeightsError
from tdseg.masks.classes import ADE20K_CLASSES, ADE20K_PALETTE, CITYSCAPES_CLASSES, CITYSCAPES_PALETTE
from tdseg.runtime.external.hugging_face import TASK, open_hugging_face
from tdseg.runtime.external.segmenter import HuggingFaceNetwork
from tdseg.runtime.network import Execution

SEMANTIC = [
    (pretrained.segformer, {}),
    (pretrained.upernet, {}),
    (pretrained.beit, {}),
    (pretrained.mobilenet, {}),
    (pretrained.dpt, SQUARE),
    (pretrained.data2vec, SQUARE),
]
UNIVERSAL = [(pretrained.mask2former, {}), (pretrained.maskformer, {}), (pretrained.eomt, SQUARE)]


def opened(folder: Path, **execution: Any) -> HuggingFaceNetwork:
    return open_hugging_face(folder, folder.name, Execution(**execution))


def random_images(network: HuggingFaceNetwork, count: int = 2) -> Tensor:
    torch.manual_seed(1)
    return blobs(count, network.config.size)


def by_hand(images: Tensor) -> Tensor:
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return (images / 255 - mean) / std


def log_shares(classes: Tensor, masks: Tensor) -> Tensor:
    """What the library's post_process_semantic_segmentation scores classes by, as logarithms."""
    return torch.einsum("bqc, bqhw -> bchw", classes.softmax(-1)[..., :-1], masks.sigmoid()).clamp(min=1e-8).log()


def assert_equal(got: Tensor, expected: Tensor) -> None:
    assert got.dtype == torch.float32
    assert float(expected.std((2, 3)).mean()) > 1e-2  # something is seen
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize(("make", "processor"), SEMANTIC, ids=[make.__name__ for make, _ in SEMANTIC])
@torch.inference_mode()
def test_semantic_models(make: Callable[..., Any], processor: dict[str, Any], tmp_path: Path) -> None:
    model = save_pretrained(tmp_path, make, **processor)
    network = opened(tmp_path)
    images = random_images(network)
    assert_equal(network.scores(images), model(pixel_values=by_hand(images)).logits)
    assert (network.config.num_classes, network.config.classes, network.config.palette) == (5, FIVE, ())
    assert (network.runtime, network.precision, network.device) == ("torch", "fp32", "cpu")
    assert network.fit_size(None, (480, 640)) == network.config.size == tuple(images.shape[-2:])


@pytest.mark.parametrize(("make", "processor"), UNIVERSAL, ids=[make.__name__ for make, _ in UNIVERSAL])
@torch.inference_mode()
def test_universal_models(make: Callable[..., Any], processor: dict[str, Any], tmp_path: Path) -> None:
    model = save_pretrained(tmp_path, make, **processor)
    network = opened(tmp_path)
    images = random_images(network)
    out = model(pixel_values=by_hand(images))
    assert_equal(network.scores(images), log_shares(out.class_queries_logits, out.masks_queries_logits))
    assert network.config.classes == FIVE


@torch.inference_mode()
def test_oneformer_is_told_its_task(tmp_path: Path) -> None:
    model = save_pretrained(tmp_path, pretrained.oneformer)
    with pytest.raises(WeightsError, match="no tokenizer"):
        opened(tmp_path)
    save_tokenizer(tmp_path)
    network = opened(tmp_path)
    images = random_images(network)
    assert TASK == "the task is semantic"
    words = ["<|startoftext|>", "the</w>", "t", "a", "s", "k</w>", "is</w>", "s", "<|endoftext|>"]  # 9 are taken
    index = json.loads((tmp_path / "vocab.json").read_text())
    tokens = torch.tensor([[index[word] for word in words]])
    out = model(pixel_values=by_hand(images), task_inputs=tokens.expand(2, -1))
    assert_equal(network.scores(images), log_shares(out.class_queries_logits, out.masks_queries_logits))


@torch.inference_mode()
def test_mobilevit_sees_bgr(tmp_path: Path) -> None:
    crop: dict[str, Any] = {
        "size": {"shortest_edge": 72},
        "crop_size": {"height": 64, "width": 64},
        "do_center_crop": True,
    }
    unnormalized: dict[str, Any] = {
        "do_flip_channel_order": True,
        "do_normalize": None,
        "image_mean": None,
        "image_std": None,
    }
    model = save_pretrained(
        tmp_path, pretrained.mobilevit, image_processor_type="MobileViTImageProcessor", **crop, **unnormalized
    )
    network = opened(tmp_path)
    images = random_images(network)
    assert tuple(images.shape[-2:]) == (64, 114)  # the whole of a frame of 16:9
    assert_equal(network.scores(images), model(pixel_values=images.flip(1) / 255).logits)


def test_names_and_colours(tmp_path: Path) -> None:
    def config(classes: tuple[str, ...]) -> ModelConfig:
        save_pretrained(tmp_path, pretrained.segformer, classes=classes)
        return opened(tmp_path).config

    assert config(CITYSCAPES_CLASSES).palette == CITYSCAPES_PALETTE
    upper = tuple(f"{name.upper()} " for name in ADE20K_CLASSES)
    assert config(upper).palette == ADE20K_PALETTE
    assert config(upper).classes == tuple(name.upper() for name in ADE20K_CLASSES)
    unnamed = config(("LABEL_0", "LABEL_1", "LABEL_2"))
    assert (unnamed.classes, unnamed.palette, unnamed.num_classes) == ((), (), 3)
    with pytest.raises(ConfigError, match="256 classes"):
        config(tuple(map(str, range(256))))


def test_ade20k_is_whole() -> None:
    assert len(ADE20K_CLASSES) == len(set(ADE20K_CLASSES)) == len(ADE20K_PALETTE) == 150
    assert (ADE20K_CLASSES[2], ADE20K_PALETTE[2]) == ("sky", (6, 230, 230))
    assert (ADE20K_CLASSES[149], ADE20K_PALETTE[149]) == ("flag", (92, 0, 255))


def test_models_of_one_size_take_no_other(tmp_path: Path) -> None:
    save_pretrained(tmp_path / "eomt", pretrained.eomt, size={"shortest_edge": 96, "longest_edge": None})
    network = opened(tmp_path / "eomt")
    assert network.fit_size(None, (720, 1280)) == network.fit_size((64, 64)) == (64, 64)
    with pytest.raises(ConfigError, match="such as 64x64"):
        network.fit_size((64, 96))
    save_pretrained(tmp_path / "dpt", pretrained.dpt, size=90, keep_aspect_ratio=True, ensure_multiple_of=32)
    network = opened(tmp_path / "dpt")
    assert network.fit_size(None, (200, 400)) == (96, 96)  # its tokens are taken for a square
    for size in ((96, 128), (72, 72)):
        with pytest.raises(ConfigError, match=f"size {size[0]}x{size[1]} for dpt"):
            network.fit_size(size)


@torch.inference_mode()
def test_lower_precision(tmp_path: Path) -> None:
    model = save_pretrained(tmp_path, pretrained.segformer)
    network = opened(tmp_path, autocast="bf16")
    images = random_images(network)
    with torch.autocast("cpu", torch.bfloat16):
        expected = model(pixel_values=by_hand(images)).logits
    assert expected.dtype == torch.bfloat16
    assert_equal(network.scores(images), expected.float())


def test_weights_in_half_precision_are_widened(tmp_path: Path) -> None:
    model = save_pretrained(tmp_path, pretrained.segformer)
    model.half().save_pretrained(tmp_path)
    network = opened(tmp_path)
    assert {weight.dtype for weight in network.model.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in network.model.parameters())
