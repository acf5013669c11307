from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tdseg.errors import ConfigError, TdsegError, WeightsError
from tdseg.runtime.external.processor import ProcessorConfig, read_processor

GREY = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
HD = (1080, 1920)


@pytest.mark.parametrize(
    ("values", "frame", "expected"),
    [
        ({"size": {"height": 512, "width": 640}}, HD, (512, 640)),
        ({"size": 512}, HD, (512, 512)),
        ({"size": 512, "max_size": 2048}, HD, (512, 910)),
        ({"size": {"shortest_edge": 512}}, HD, (512, 910)),
        ({"size": {"shortest_edge": 512}}, (1920, 1080), (910, 512)),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}}, HD, (750, 1333)),
        ({"size": {"shortest_edge": 800, "longest_edge": 1333}, "size_divisor": 32}, HD, (768, 1344)),
        ({"size": {"longest_edge": 960}}, HD, (540, 960)),
        ({"size": {"shortest_edge": 544}, "crop_size": {"height": 512, "width": 512}}, HD, (512, 910)),
        ({"size": {"shortest_edge": 544}, "crop_size": 512, "do_center_crop": False}, HD, (544, 967)),
        ({"size": {"height": 384, "width": 384}, "keep_aspect_ratio": True, "ensure_multiple_of": 32}, HD, (384, 672)),
        ({"size": {"height": 384, "width": 384}, "keep_aspect_ratio": True}, (300, 400), (288, 384)),
        ({"size": {"height": 512, "width": 512}, "do_resize": False}, HD, HD),
        ({"do_resize": False, "size_divisor": 32}, HD, (1088, 1920)),
        ({}, HD, HD),
    ],
)
def test_sizes(values: dict[str, Any], frame: tuple[int, int], expected: tuple[int, int]) -> None:
    assert ProcessorConfig.parse(GREY | values, where="processor").fit(frame) == expected


def test_normalization() -> None:
    def normalized(values: dict[str, Any]) -> list[float]:
        mean, std = ProcessorConfig.parse(values, where="processor").normalization()
        x = torch.tensor([0.0, 51.0, 255.0])[:, None, None]
        return [round(value, 5) for value in ((x - mean) / std).flatten().tolist()]

    uneven = {"image_mean": [0.5, 0.1, 0.0], "image_std": [0.5, 0.1, 2.0]}
    assert normalized(uneven) == [-1, 1, 0.5]
    assert normalized({"do_normalize": False}) == [0, 0.2, 1]
    assert normalized({"do_normalize": False, "do_rescale": False}) == [0, 51, 255]
    assert normalized({"do_rescale": False, "image_mean": [1, 1, 55], "image_std": [1, 10, 100]}) == [-1, 5, 2]
    assert normalized(GREY | {"rescale_factor": 1 / 127.5}) == [-1, -0.2, 3]


@pytest.mark.parametrize(
    ("files", "flipped"),
    [
        ({"preprocessor_config.json": GREY}, False),
        ({"processor_config.json": {"image_processor": GREY, "processor_class": "OneFormerProcessor"}}, False),
        ({"processor_config.json": {"processor_class": "X"}, "preprocessor_config.json": GREY}, False),
        ({"video_preprocessor_config.json": GREY}, False),
        ({"processor_config.json": {"video_processor": GREY}}, False),
        ({"preprocessor_config.json": {"image_processor_type": "MobileViTImageProcessorFast"}}, True),
        ({"preprocessor_config.json": {"feature_extractor_type": "MobileViTFeatureExtractor"}}, True),
        ({"preprocessor_config.json": GREY | {"crop_size": None, "size": None, "do_resize": None}}, False),
    ],
)
def test_where_it_is_found(files: dict[str, Any], flipped: bool, tmp_path: Path) -> None:
    for file, values in files.items():
        (tmp_path / file).write_text(json.dumps(values))
    found = read_processor(tmp_path, "net")
    assert (found.do_flip_channel_order, found.do_normalize) == (flipped, not flipped)


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("no json", WeightsError, "is not JSON"),
        ("[1]", WeightsError, "is a list"),
        ("[" * 100_000, WeightsError, "is not JSON"),
        ("{}", ConfigError, "image_mean and image_std"),
        (json.dumps(GREY | {"image_mean": [0.5, 0.5]}), ConfigError, "image_mean"),
        (json.dumps(GREY | {"image_std": [0.5, 0, 0.5]}), ConfigError, "image_std"),
        (json.dumps(GREY | {"image_mean": [0.5, float("nan"), 0.5]}), ConfigError, "image_mean"),
        (json.dumps(GREY | {"rescale_factor": 0}), ConfigError, "rescale_factor"),
        (json.dumps(GREY | {"size": "large"}), ConfigError, "size"),
        (json.dumps(GREY | {"size": {"height": 512}}), ConfigError, "size"),
        (json.dumps(GREY | {"size": {"height": 512, "width": -1}}), ConfigError, "size"),
        (json.dumps(GREY | {"size": {"height": 1e9, "width": 512}}), ConfigError, "size"),
        (json.dumps(GREY | {"size": {}}), ConfigError, "size"),
        (json.dumps(GREY | {"ensure_multiple_of": 0}), ConfigError, "ensure_multiple_of"),
    ],
)
def test_what_is_of_no_use(text: str, kind: type[TdsegError], said: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(text)
    with pytest.raises(kind, match=said):
        read_processor(tmp_path, "net")


def test_none(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"net: no configuration(.|\n)*preprocessor_config\.json"):
        read_processor(tmp_path, "net")
