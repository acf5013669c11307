"""Tiny random models of Hugging Face, as save_pretrained leaves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

transformers = pytest.importorskip("transformers", reason="pip install -e '.[transformers]'")

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.2, 0.1)
PROCESSOR = {
    "do_resize": True,
    "size": {"height": 64, "width": 96},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": MEAN,
    "image_std": STD,
}
FIVE = ("sky", "road", "tree", "car", "person")
SWIN = {
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 4,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 64,
    "patch_size": 16,
}
QUERIES = {
    "hidden_dim": 32,
    "mask_feature_size": 32,
    "feature_size": 32,
    "encoder_feedforward_dim": 32,
    "dim_feedforward": 32,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "num_attention_heads": 2,
    "num_queries": 6,
}
EOMT = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "image_size": 64,
    "patch_size": 16,
    "num_blocks": 2,
    "num_queries": 6,
    "num_upscale_blocks": 1,
    "num_register_tokens": 1,
    "mlp_ratio": 2,
}
SQUARE: dict[str, Any] = {"size": {"height": 64, "width": 64}}


def segformer(**fields: Any) -> Any:
    sizes = {"hidden_sizes": [8, 8, 16, 16], "depths": [1] * 4, "num_attention_heads": [1] * 4}
    config = transformers.SegformerConfig(**sizes, decoder_hidden_size=16, **fields)
    return transformers.SegformerForSemanticSegmentation(config)


def upernet(**fields: Any) -> Any:
    backbone = transformers.ConvNextConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, out_features=["stage1", "stage2", "stage3", "stage4"]
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone, hidden_size=16, auxiliary_channels=8, auxiliary_in_channels=16, **fields
    )
    return transformers.UperNetForSemanticSegmentation(config)


def dpt(**fields: Any) -> Any:
    config = transformers.DPTConfig(
        **VIT,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=16,
        is_hybrid=False,
        **fields,
    )
    return transformers.DPTForSemanticSegmentation(config)


def mobilevit(**fields: Any) -> Any:
    config = transformers.MobileViTConfig(
        hidden_sizes=[8, 12, 16],
        neck_hidden_sizes=[4, 8, 8, 16, 16, 16, 24],
        num_attention_heads=2,
        aspp_out_channels=16,
        atrous_rates=[1, 2, 3],
        image_size=64,
        **fields,
    )
    return transformers.MobileViTForSemanticSegmentation(config)


def mobilenet(**fields: Any) -> Any:
    config = transformers.MobileNetV2Config(depth_multiplier=0.25, **fields)
    return transformers.MobileNetV2ForSemanticSegmentation(config)


def beit(**fields: Any) -> Any:
    config = transformers.BeitConfig(
        **VIT, out_indices=[1, 2, 3, 4], pool_scales=[1, 2], use_relative_position_bias=True, **fields
    )
    return transformers.BeitForSemanticSegmentation(config)


def data2vec(**fields: Any) -> Any:
    config = transformers.Data2VecVisionConfig(**VIT, out_indices=[1, 2, 3, 4], pool_scales=[1, 2], **fields)
    return transformers.Data2VecVisionForSemanticSegmentation(config)


def mask2former(**fields: Any) -> Any:
    config = transformers.Mask2FormerConfig(backbone_config=transformers.SwinConfig(**SWIN), **QUERIES, **fields)
    return transformers.Mask2FormerForUniversalSegmentation(config)


def maskformer(**fields: Any) -> Any:
    decoder = transformers.DetrConfig(
        d_model=32,
        decoder_layers=1,
        encoder_layers=1,
        decoder_attention_heads=2,
        encoder_attention_heads=2,
        decoder_ffn_dim=16,
        encoder_ffn_dim=16,
        num_queries=6,
    )
    config = transformers.MaskFormerConfig(
        backbone_config=transformers.SwinConfig(**SWIN),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        **fields,
    )
    return transformers.MaskFormerForInstanceSegmentation(config)


def oneformer(**fields: Any) -> Any:
    config = transformers.OneFormerConfig(
        backbone_config=transformers.SwinConfig(**SWIN),
        conv_dim=32,
        mask_dim=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=6,
        query_dec_layers=1,
        text_encoder_width=8,
        text_encoder_num_layers=1,
        text_encoder_vocab_size=64,
        text_encoder_n_ctx=2,
        task_seq_len=9,
        **fields,
    )
    return transformers.OneFormerForUniversalSegmentation(config)


def eomt(**fields: Any) -> Any:
    return transformers.EomtForUniversalSegmentation(transformers.EomtConfig(**EOMT, **fields))


def videomt(**fields: Any) -> Any:
    return transformers.VideomtForUniversalSegmentation(transformers.VideomtConfig(**EOMT, **fields))


def save_pretrained(
    folder: Path, make: Callable[..., Any], *, classes: Sequence[str] = FIVE, seed: int = 0, **processor: Any
) -> Any:
    """Save a model with a processor's configuration, PROCESSOR and what is given; the model, in eval mode."""
    torch.manual_seed(seed)
    names = dict(enumerate(classes))
    model = make(id2label=names, label2id={name: index for index, name in names.items()}).eval()
    _make_lively(model)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR | processor))
    return model


def _make_lively(model: Any) -> None:
    """Weights that keep the variance of what they are given, and batch norms that have seen some: so masks vary."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim > 1:
                torch.nn.init.kaiming_normal_(weight)
            elif "bias" in name:
                weight.normal_(0, 0.2)
        norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0
        if norms:
            model.train()(pixel_values=(blobs(4, (64, 64)) / 255 - 0.5) / 0.2)
            model.eval()


def blobs(count: int, size: tuple[int, int]) -> torch.Tensor:
    """Soft spots of colour, uint8 (count, 3, *size)."""
    spots = torch.rand(count, 3, 3, 4) * 255
    return torch.nn.functional.interpolate(spots, size, mode="bicubic").clamp(0, 255).to(torch.uint8)


def save_tokenizer(folder: Path) -> None:
    """A tokenizer of CLIP with a small vocabulary, as two files."""
    letters = [*"abcdehikmnst", *(f"{letter}</w>" for letter in "abcdehikmnst")]
    merges = ["t h", "th e</w>", "i s</w>"]
    words = [*letters, "th", "the</w>", "is</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
