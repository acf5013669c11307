"""Segmentation models of Hugging Face's library transformers, run frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import lcm
from typing import Any

import torch
from torch import Tensor, nn

from tdseg.errors import ConfigError, first_line
from tdseg.masks.classes import own_palette
from tdseg.runtime.external.per_frame import PerFrameNetwork, external_config
from tdseg.runtime.external.processor import ProcessorConfig
from tdseg.runtime.network import Execution, check_size
from tdseg.runtime.torch import check_device, lower_precision
from tdseg.system import resolve_device

NOMINAL = (1080, 1920)
"""(height, width) of the frame that the size of a network is told for, where it follows from the frame's aspect."""
LEAST_SCORE = 1e-8
"""Below it, scores of queries are not told apart."""
ONE_SIZE = frozenset({"data2vec-vision", "eomt", "eomt_dinov3", "videomt"})
"""Types of models whose patches have places of their own, so that a picture must have so many of them."""
SQUARE = frozenset({"dpt"})
"""Types of models that take their tokens for a square, whatever the picture was."""
WHOLE_PATCHES = frozenset({"beit", "dpt", "sapiens2", "tipsv2_dpt"})
"""Types of models that cut off what is no whole patch at the edges."""


class HuggingFaceNetwork(PerFrameNetwork):
    """A segmentation model of transformers. See `Network`.

    Of a semantic one the scores are its logits. Universal ones give Q queries, each with class logits and a mask, and
    the library scores a class by Σ_q softmax(class logits) · sigmoid(mask logits), without the class "nothing". Here it
    is the logarithm of that, at the resolution of the masks: softmax makes of it the share of each class, as it makes
    probabilities of logits, and a mean over frames is one of log-probabilities for both.

    Args:
        model: of `load_pretrained`.
        processor: what it does to pictures.
        name: printable.
        execution: its device, and the precision that it is run in.
        tokens: what OneFormer is told, int64 (1, length).

    Raises:
        ConfigError: over 255 classes, no such device, or a size that is of no use.
    """

    def __init__(
        self, model: Any, processor: ProcessorConfig, name: str, execution: Execution, tokens: Tensor | None = None
    ) -> None:
        self._name, self._processor, self._autocast = name, processor, execution.autocast
        place = resolve_device(execution.device)
        check_device(place, execution.autocast)
        kind = model.config.model_type
        side, patch = getattr(model.config, "image_size", None), getattr(model.config, "patch_size", None)
        fixed = kind in ONE_SIZE or (kind == "dpt" and getattr(model.config, "is_hybrid", False))
        self._only = _both(side) if fixed and side else None
        patches = _both(patch) if kind in WHOLE_PATCHES and patch else (1, 1)
        self._multiple, self._square = lcm(*patches), kind in SQUARE
        classes, size = _class_names(model.config), self.nearest_size(processor.fit(NOMINAL))
        config = external_config(name, model.config.num_labels, size, classes=classes, palette=own_palette(classes))
        super().__init__(config, "torch", "fp32", str(place))
        check_size(size, size)
        self.model = model.to(place)
        self._place = place
        self._mean, self._std = (values.to(place) for values in processor.normalization())
        self._tokens = None if tokens is None else tokens.to(place)
        self.parameters = sum(parameter.numel() for parameter in model.parameters())

    def fit_size(self, size: tuple[int, int] | None, frame: tuple[int, int] | None = None) -> tuple[int, int]:
        """See Network: as the processor says, for the frame's aspect where it keeps that."""
        if size and (instead := self.nearest_size(size)) != size:
            raise ConfigError(
                f"size {size[0]}x{size[1]} for {self._name}",
                expected=f"a size that the model has places for, such as {instead[0]}x{instead[1]}",
                do="choose that, or leave --size out: frames of any size are resized",
            )
        return check_size(size or self.nearest_size(self._processor.fit(frame or NOMINAL)), self.config.size)

    def nearest_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The (height, width) next to one, pixels, that the model takes: itself, if it is one."""
        if self._only:
            return self._only
        height, width = (min(size),) * 2 if self._square else size
        multiple = self._multiple
        return max(1, round(height / multiple)) * multiple, max(1, round(width / multiple)) * multiple

    def scores(self, images: Tensor) -> Tensor:
        """See PerFrameNetwork. Frames may also be floats in 0..255."""
        given = {} if self._tokens is None else {"task_inputs": self._tokens.expand(len(images), -1)}
        return class_scores(self._run(self.model, pixel_values=self._normalized(images), **given))

    def graph_module(self) -> nn.Module:
        """See PerFrameNetwork."""
        return _Exportable(self.model, self._processor, self._tokens).to("cpu").eval()

    def _normalized(self, images: Tensor) -> Tensor:
        """Frames (B, 3, h, w) as the model takes them."""
        images = images.to(self._place, torch.float32)
        if self._processor.do_flip_channel_order:
            images = images.flip(1)
        return (images - self._mean) / self._std

    def _run(self, call: Callable[..., Any], *arguments: Any, **given: Any) -> Any:
        """A part of the model, in the precision that was asked for."""
        try:
            with lower_precision(self._place, self._autocast):
                return call(*arguments, **given)
        except (RuntimeError, ValueError) as error:
            if "memory" in str(error):  # not of the size as such: whoever runs the network knows more of that
                raise
            raise ConfigError(
                f"{self._name} does not run: {first_line(error)}",
                expected=f"a size that it takes, such as {self.config.size[0]}x{self.config.size[1]}",
                do="choose another --size, or leave it out",
            ) from None


class _Exportable(nn.Module):
    """A model with what its processor does to values, for a graph: uint8 RGB (1, 3, h, w) -> scores (1, C, ·, ·)."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, processor: ProcessorConfig, tokens: Tensor | None) -> None:
        super().__init__()
        self.model = model
        self.flipped = processor.do_flip_channel_order
        for name, values in zip(("mean", "std"), processor.normalization(), strict=True):
            self.register_buffer(name, values)
        self.register_buffer("tokens", tokens)

    def forward(self, images: Tensor) -> Tensor:
        images = images.float()
        pixels = ((images.flip(1) if self.flipped else images) - self.mean) / self.std
        given = {} if self.tokens is None else {"task_inputs": self.tokens}
        return class_scores(self.model(pixel_values=pixels, **given))


def class_scores(out: Mapping[str, Tensor]) -> Tensor:
    """The class scores, float32 (B, C, h, w), in what a model of transformers gives."""
    if "pred_masks" in out:
        return query_scores(out["logits"], out["pred_masks"])
    if "masks_queries_logits" in out:
        return query_scores(out["class_queries_logits"], out["masks_queries_logits"])
    return out["logits"].float()


def query_scores(classes: Tensor, masks: Tensor) -> Tensor:
    """Logarithms, float32 (B, C, h, w), of the class scores of queries.

    Args:
        classes: logits (B, Q, C + 1), the last for "nothing".
        masks: logits (B, Q, h, w).
    """
    shares = classes.float().softmax(-1)[..., :-1]
    scores = torch.einsum("bqc,bqhw->bchw", shares, masks.float().sigmoid())
    return scores.clamp(min=LEAST_SCORE).log()


def _class_names(config: Any) -> tuple[str, ...]:
    """Names by index; () where nobody has given any, for which the library has LABEL_0, LABEL_1, …"""
    names = tuple(str(config.id2label.get(index, "")).strip() for index in range(config.num_labels))
    unnamed = any(not name for name in names) or all(name == f"LABEL_{index}" for index, name in enumerate(names))
    return () if unnamed else names


def _both(side: int | Sequence[int]) -> tuple[int, int]:
    """(height, width) of a field that is either of them or both."""
    height, width = (side, side) if isinstance(side, int) else side
    return height, width
