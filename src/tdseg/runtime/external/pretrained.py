"""Loading models of Hugging Face: only those that segment, only weights, and without a word on the terminal."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from logging import CRITICAL
from pathlib import Path
from typing import Any

from tdseg.errors import ConfigError, WeightsError, first_line
from tdseg.runtime.external.processor import read_json
from tdseg.system import require

CONFIG = "config.json"
"""What a folder of `save_pretrained` holds, whatever the model."""
TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))
"""The files of a tokenizer, either of them."""
_ADAPTER = "adapter_config.json"
_CODE = "auto_map"
"""The field of a configuration that names code to be run."""


def load_pretrained(folder: Path, name: str) -> Any:
    """The segmentation model in a folder of `save_pretrained`: frozen, in eval mode and float32, on the CPU.

    Args:
        folder: nothing is asked of the hub.
        name: for errors.

    Raises:
        ConfigError: transformers, or a package that the model needs, is not installed.
        WeightsError: it cannot be read, wants code to be run, is no segmentation model, or lacks weights.
    """
    require("transformers", extra="transformers")
    make = _model_class(read_json(folder / CONFIG, name), name)
    if os.path.exists(folder / _ADAPTER):
        raise _refused(name, f"{_ADAPTER}, which loads another model from elsewhere", "merge it into its model first")
    try:
        with _quiet():
            model, loaded = make.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,  # they are refused below, with their names
                output_loading_info=True,
            )
    except ImportError as error:
        raise ConfigError(
            f"{name}: {first_line(error)}",
            expected="the packages that its model needs",
            do="install them, or choose another model",
        ) from None
    except Exception as error:  # transformers, safetensors and torch raise what they meet in a damaged file
        raise _refused(name, first_line(error), "download or save it again; weights are *.safetensors") from None
    mismatched = (key[0] if isinstance(key, tuple) else key for key in loaded["mismatched_keys"])
    if absent := sorted({*map(str, loaded["missing_keys"]), *map(str, mismatched)}):
        raise _refused(
            name,
            f"{len(absent)} tensors of its model are not in its file, such as {absent[0]}",
            "choose a model that was trained to segment, not its backbone",
        )
    return model.float().eval().requires_grad_(False)


def load_tokens(folder: Path, name: str, text: str, length: int) -> Any:
    """A text as the tokenizer of CLIP in a folder writes it: int64 (1, length), zeros after its end.

    Raises:
        WeightsError: there is no tokenizer, or it cannot be read.
    """
    from transformers import CLIPTokenizer

    do = "save the whole processor with save_pretrained, or copy vocab.json and merges.txt from where it is from"
    if not any(all(os.path.isfile(folder / file) for file in files) for files in TOKENIZERS):
        raise _refused(name, "no tokenizer, which writes its task", do)
    try:
        with _quiet():
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            tokens = tokenizer(text, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    except Exception as error:  # tokenizers raises bare exceptions
        raise _refused(name, f"its tokenizer: {first_line(error)}", do) from None
    return tokens["input_ids"] * tokens["attention_mask"]


def _model_class(config: dict[str, Any], name: str) -> Any:
    """The class of transformers that segments, for a configuration."""
    import transformers
    from transformers.models.auto import modeling_auto

    if field := _remote(config):
        raise WeightsError(
            f"{name}: {CONFIG} has {field}: code or parts that are not in the folder",
            expected="a model whose code is in transformers, and whole: nothing in a download is executed",
            do="choose such a model, or export this one to ONNX where you trust it",
        )
    kind = config.get("model_type")
    segmenting = (
        modeling_auto.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES
        | modeling_auto.MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING_NAMES
    )
    if not isinstance(kind, str) or kind not in transformers.CONFIG_MAPPING:
        got = f"model_type {kind!r}" if kind else "no model_type"
        raise _refused(name, f"{got} in {CONFIG}", f"update transformers, which is {transformers.__version__}")
    if kind not in segmenting:
        raise _refused(name, f"a model of type {kind}", f"choose one of {', '.join(sorted(segmenting))}")
    return getattr(transformers, segmenting[kind])


def _remote(config: dict[str, Any]) -> str:
    """The field, anywhere in a configuration, that would have code of others run; "" if there is none."""
    left: list[Any] = [config]
    while left:
        values = left.pop()
        if isinstance(values, dict):
            for key, value in values.items():
                # Attention "org/name" is a kernel of the hub.
                if key == _CODE or ("attn_implementation" in key and "/" in str(value)):
                    return str(key)
                if key == "backbone" and isinstance(value, str) and _is_fetched(values):
                    return str(key)
            left += values.values()
        elif isinstance(values, list):
            left += values
    return ""


def _is_fetched(config: dict[str, Any]) -> bool:
    """Whether the library would ask the hub for the backbone that a configuration names."""
    own = config.get("model_type") == "timm_backbone" and not config.get("use_pretrained_backbone")  # of that library
    return not own and not config.get("backbone_config")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the reports, progress bars and warnings of transformers, which are as they were afterwards."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars
    from transformers.utils import logging

    level, bars, downloads = logging.get_verbosity(), logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    logging.set_verbosity(CRITICAL)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
        if downloads:  # transformers sets both alike
            disable_progress_bars()


def _refused(name: str, why: str, do: str) -> WeightsError:
    expected = "a model of Hugging Face for semantic or universal segmentation, as save_pretrained writes it"
    return WeightsError(f"{name}: {why}", expected=expected, do=do)
