"""tdseg.json: what an exported folder holds, and how it is to be run."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from tdseg.config import FrozenConfig, Side, StoredModelConfig
from tdseg.errors import ConfigError, WeightsError
from tdseg.files import parse_json, read_text
from tdseg.models.propagation import StateTensor, kind_of
from tdseg.runtime.network import check_size, size_for

MANIFEST = "tdseg.json"
Part = Literal["encode", "merge"]
"""Of a step: what is before the encoded tensors, and what is after them."""
PATH = "path"
"""State tensor of a graph that holds several paths: the one whose turn it is."""
_EXPECTED = "a folder as `tdseg export` left it"


class TensorSpec(FrozenConfig):
    """A tensor that goes into a graph or comes out of it."""

    name: str
    dtype: Literal["uint8", "float16", "float32", "int64"]
    shape: tuple[Annotated[int, Field(ge=0, le=1 << 31)], ...] = Field(
        max_length=8, description="For a graph of any size, that at the model's own size."
    )


class Parity(FrozenConfig):
    """How the exported graphs were found to agree with the model they were made of."""

    source: str = Field(description="What was shown to both.")
    frames: int
    resets: int = Field(description="How often both forgot everything on the way.")
    agreement: float = Field(description="Share of pixels with the same class, 0..1.")
    max_relative_error: float = Field(description="Largest difference of a logit over the largest logit.")
    miou_drop: float | None = Field(None, description="mIoU lost on the labels of the source, points; None without.")


class Manifest(FrozenConfig):
    """All that a reader in any language needs beside the graphs."""

    format: Literal[1] = Field(description="Version of this file's layout.")
    target: Literal["onnx", "openvino"]
    precision: Literal["fp32", "fp16", "int8"]
    opset: int = Field(ge=1, le=99, description="Of ONNX, which the graphs were written in or made from.")
    size: tuple[Side, Side] | None = Field(
        description="(height, width) of the input, pixels; None: any multiples of the stride."
    )
    stride: int = Field(ge=1, le=64, description="Pixels of the input for each position of the feature map.")
    graph: str = Field(description="File that holds a step of every path.")
    stateful: str | None = Field(None, description="File that holds the same with the state inside, if there is one.")
    image: TensorSpec = Field(description="RGB, 0..255; the graphs normalise it.")
    logits: TensorSpec = Field(description="Class scores; resize them with aligned corners, then take the largest.")
    encoded: tuple[str, ...] = Field(
        (),
        description="Tensors inside the graph that hold what a frame is by itself: what is before them needs no "
        "state, and can be run ahead. None in older exports whose paths have weights of their own.",
    )
    by_path: tuple[Part, ...] = Field(
        (),
        description="Where the graph holds several paths: the parts of a step, before and after the encoded tensors, "
        "that differ from path to path, and so need the path whose turn it is.",
    )
    memory: tuple[TensorSpec, ...] = Field(
        max_length=64,
        description="State, zeros for an empty one: NAME goes in as past_NAME, and comes out as present_NAME. Where "
        "the graph holds several paths, the last one is the path whose turn it is.",
    )
    parity: Parity | None = Field(None, description="None until it is known.")
    versions: dict[str, str] = Field(description="Of the packages that wrote it.")
    weights: str | None = Field(None, description="sha256 of the file of weights that it was made of, if of one.")
    sha256: dict[str, str] = Field(description="Of every file beside this one, by its path in the folder.")
    model: StoredModelConfig = Field(description="The model: classes, palette, normalisation, paths.")

    @property
    def has_turns(self) -> bool:
        """Whether the graph holds several paths, and is told whose turn it is."""
        return any(spec.name == PATH for spec in self.memory)

    def layout(self, size: tuple[int, int]) -> tuple[StateTensor, ...]:
        """The tensors of the memory for an input of (height, width) pixels."""
        return kind_of(self.model).layout(self.model, cells(size, self.stride))

    def fit_size(
        self,
        size: tuple[int, int] | None,
        *,
        fixed: tuple[int, int] | None = None,
        frame: tuple[int, int] | None = None,
    ) -> tuple[int, int]:
        """The (height, width) of the input that was asked for, pixels, or for None the model's own, see `size_for`.

        Args:
            size: what is asked for.
            fixed: the only one that the graph, as it was loaded, takes.
            frame: (height, width) of the frames, where they are known.

        Raises:
            ConfigError: below 64 pixels, or none that the graph takes.
        """
        fixed = self.size or fixed
        own = fixed or self.model.size
        size = size or fixed or size_for(own, frame, self.stride)
        if fixed and size != own:
            raise ConfigError(
                f"size {size[0]}x{size[1]} for a model exported or loaded for {own[0]}x{own[1]}",
                expected=f"{own[0]}x{own[1]}, to which frames of any size are resized",
                do=f"leave --size out, or export or load the model for {size[0]}x{size[1]}",
            )
        return check_size(size, own, multiple_of=1 if fixed else self.stride)


def past(name: str) -> str:
    """Name of a state tensor that goes into a graph."""
    return f"past_{name}"


def present(name: str) -> str:
    """Name of a state tensor that comes out of a graph."""
    return f"present_{name}"


def cells(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """(h, w) of the feature map for an input of (height, width) pixels."""
    return -(-size[0] // stride), -(-size[1] // stride)


def is_exported(path: Path) -> bool:
    """Whether the path is a folder that `tdseg export` wrote."""
    return os.path.isfile(path / MANIFEST)


def exported_files(folder: Path) -> list[str]:
    """The files that a manifest tells of, with itself, by their paths in the folder; none where it cannot be read."""
    try:
        values = parse_json(read_text(folder / MANIFEST))
        return [MANIFEST, *Manifest.parse(values, where=MANIFEST).sha256]
    except (OSError, ValueError, RecursionError, ConfigError):
        return []


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an exported folder, its files held against their checksums.

    Raises:
        WeightsError: there is none, it is of another version, or a file is missing or changed.
    """
    try:
        values = parse_json(read_text(folder / MANIFEST))
        manifest = Manifest.parse(values, where=MANIFEST)
    except OSError as error:
        raise WeightsError(f"{folder / MANIFEST}: {error.strerror}", expected=_EXPECTED, do="check the path") from None
    except (ValueError, TypeError, ConfigError) as error:
        got = error.got if isinstance(error, ConfigError) else str(error)
        raise WeightsError(
            f"{folder / MANIFEST}: not a manifest that this tdseg knows ({got})",
            expected=_EXPECTED,
            do="export the model again, or load it with the version of tdseg that wrote it",
        ) from None
    _check_files(folder, manifest)
    return manifest


def checksums(folder: Path) -> dict[str, str]:
    """sha256 of every file in the folder but the manifest, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): checksum(path) for path in files}


def _check_files(folder: Path, manifest: Manifest) -> None:
    weights = [str(Path(manifest.graph).with_suffix(".bin"))] if manifest.target == "openvino" else []
    for name in (manifest.graph, *weights):
        if name not in manifest.sha256:
            raise WeightsError(
                f"{folder / MANIFEST}: no checksum of {name}", expected=_EXPECTED, do="export the model again"
            )
    for name, expected in manifest.sha256.items():
        path = folder / name
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise WeightsError(
                f"{folder / MANIFEST}: a file outside of the folder, {name}", expected=_EXPECTED, do="do not trust it"
            )
        if not os.path.isfile(path):
            raise WeightsError(f"{path}: missing", expected=_EXPECTED, do="copy the folder whole, or export again")
        if checksum(path) != expected:
            raise WeightsError(
                f"{path}: changed or damaged (checksum differs)",
                expected=f"sha256 {expected}",
                do="copy the folder again, or export the model again",
            )


def checksum(path: Path) -> str:
    """sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
