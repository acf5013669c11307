"""Segmentation models of Hugging Face as teachers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tdseg.errors import WeightsError
from tdseg.system import require
from tdseg.train.teacher import Answer, frozen
from tdseg.zoo.load import HUB, parse_address


class HuggingFaceTeacher:
    """A semantic segmentation model of the library transformers.

    Args:
        model: gives logits (N, C, h', w') for normalised pixel_values (N, 3, h, w).
        mean, std: (3,), of RGB in 0..255.

    Attributes:
        classes: names by index; empty where nobody has given any.
        num_classes: C.
    """

    def __init__(self, model: Any, mean: Tensor, std: Tensor) -> None:
        self.model: Any = frozen(model)
        self.mean, self.std = (x[:, None, None].to(model.device) for x in (mean, std))
        self.num_classes = int(model.config.num_labels)
        names = tuple(model.config.id2label[index] for index in range(self.num_classes))
        self.classes = () if names == tuple(f"LABEL_{index}" for index in range(len(names))) else names

    @torch.no_grad()
    def answer(self, frames: Tensor, paths: Sequence[int]) -> Answer:
        """See `Teacher`."""
        x = (frames[:, -len(paths) :].flatten(0, 1) - self.mean) / self.std
        return Answer(self.model(pixel_values=x).logits.unflatten(0, (-1, len(paths))))


def load_hugging_face(name: str, device: torch.device | str = "cpu") -> HuggingFaceTeacher:
    """The teacher in a folder of `save_pretrained`, or at hf://org/name[@revision].

    Raises:
        ConfigError: transformers is not installed.
        WeightsError: weights that cannot be read, or are not those of a segmentation model.
    """
    require("transformers", extra="transformers")
    from transformers import AutoModelForSemanticSegmentation
    from transformers.image_processing_base import ImageProcessingMixin

    def refused(why: str, do: str) -> WeightsError:
        expected = "a semantic segmentation model of Hugging Face, with preprocessor_config.json"
        return WeightsError(f"teacher {name}: {why}", expected=expected, do=do)

    source, revision = parse_address(name) if name.startswith(HUB) else (name, None)
    options = {"revision": revision} if revision else {}
    try:
        model, loaded = AutoModelForSemanticSegmentation.from_pretrained(
            source, trust_remote_code=False, output_loading_info=True, **options
        )
        processor, _ = ImageProcessingMixin.get_image_processor_dict(source, **options)
    except (OSError, ValueError) as error:
        raise refused((str(error).splitlines() or [""])[0], "check name and connection") from None
    if drawn := sorted(map(str, [*loaded["missing_keys"], *loaded["mismatched_keys"]])):
        raise refused(
            f"{len(drawn)} tensors are not in its file, such as {drawn[0]}",
            "choose a model that was trained to segment, not its backbone",
        )
    mean, std = [0.0] * 3, [1.0] * 3
    if processor.get("do_normalize", True):
        if not {"image_mean", "image_std"} <= processor.keys():
            raise refused("no image_mean or image_std", "choose another")
        mean, std = processor["image_mean"], processor["image_std"]
    scale = 1 / processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    return HuggingFaceTeacher(model.to(device), scale * torch.tensor(mean), scale * torch.tensor(std))
