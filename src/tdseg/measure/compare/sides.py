"""What is compared: models and masks, opened, and brought to one list of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tdseg.errors import ConfigError, DataError
from tdseg.inference.pipeline import warm_up
from tdseg.inference.stream import Stream
from tdseg.masks.palette import Palette, color_table
from tdseg.masks.reading import Masks, open_masks, size_text
from tdseg.runtime.manifest import is_exported
from tdseg.runtime.network import Execution
from tdseg.zoo import catalog
from tdseg.zoo.load import prepare

Mask = NDArray[np.uint8]
RGB = NDArray[np.uint8]


class Seen(NamedTuple):
    """What a side says about a frame."""

    mask: Mask
    """(H, W) class indices."""
    latency_ms: float | None
    """As of `Stream.step`; None for masks."""


class ModelSide:
    """A model, warmed up, on its way through the video.

    Args:
        given: packaged name, file of weights, or exported folder.
        size, device: as in `tdseg.segment`.
    """

    def __init__(self, given: str, size: tuple[int, int] | None, device: str) -> None:
        model = prepare(given, Execution(device), size=size)
        self.stream = Stream(model, size)
        warm_up(self.stream)
        config = model.config
        names = config.classes or tuple(f"class {index}" for index in range(config.num_classes))
        self.classes = Palette(given, names, color_table(config.palette)[: config.num_classes])
        height, width = self.stream.size
        self.about = f"{given}: model, {height}x{width} in {model.runtime} {model.precision} on {model.device}"

    def step(self, frame: RGB) -> Seen:
        """The next frame, (H, W, 3), segmented."""
        result = self.stream.step(frame)
        return Seen(result.mask, result.latency_ms)


class MaskSide:
    """Masks, one for each frame of the video.

    Args:
        given: as in `open_masks`.
        classes: those there are; None: any.
        video: printable, for errors.
    """

    def __init__(self, given: str | Path, classes: Palette | None, video: str) -> None:
        self.masks: Masks = open_masks(given, classes)
        self.about = f"{given}: masks"
        self._video, self._rest = video, zip(self.masks.names, self.masks, strict=True)

    def step(self, frame: RGB) -> Seen:
        """The mask of the next frame, (H, W, 3).

        Raises:
            DataError: there is none, it cannot be read, or is of another size.
        """
        name, mask = next(self._rest, (None, None))
        if name is None or mask is None:
            raise self._other_length(f"the video goes on after {self.masks.names[-1]}, the last one")
        if mask.shape != frame.shape[:2]:
            raise DataError(
                f"{name} is {size_text(mask.shape)}, its frame is {size_text(frame.shape)}",
                expected=f"masks of the size of the frames of {self._video}",
                do="resize the masks without interpolation, or give the video they were made from",
            )
        return Seen(mask, None)

    def end(self) -> None:
        """The video is over.

        Raises:
            DataError: there are masks left.
        """
        if (name := next(self._rest, (None,))[0]) is not None:
            raise self._other_length(f"no frame for {name}")

    def _other_length(self, what: str) -> DataError:
        return DataError(
            f"{len(self.masks)} masks in {self.masks.source}: {what}",
            expected=f"a mask for every frame of {self._video}",
            do="give the video that the masks were made from, uncut, or compare its beginning with --frames",
        )


Side = ModelSide | MaskSide


def open_sides(
    given: Sequence[str], palette: Palette | None, video: str, *, size: tuple[int, int] | None, device: str
) -> tuple[list[Side], Palette | None]:
    """Models first, for they know the classes that masks may have.

    Args:
        given: of each side: the name of packaged weights, a .safetensors file, an exported folder, or masks as in
            `open_masks`.
        palette: the classes, if they are not to be those of the models.
        video: printable, for errors.
        size, device: of models.

    Returns:
        The sides, and the classes of both; None: unknown, masks may have any.

    Raises:
        ConfigError: a side that is none of these, or classes that differ.
        WeightsError, DataError: weights or masks that cannot be used.
    """
    are_masks = [_are_masks(name) for name in given]
    models = [None if masks else ModelSide(name, size, device) for name, masks in zip(given, are_masks, strict=True)]
    known = [model.classes for model in models if model]
    if palette:
        known = [palette._replace(names=_without_void(palette.names)), *known]
    for other in known[1:]:
        _check_same(known[0], other, by_name=not palette)
    classes = palette or (known[0] if known else None)
    sides = [model or MaskSide(name, classes, video) for name, model in zip(given, models, strict=True)]
    return sides, known[0] if known else None


def _are_masks(given: str) -> bool:
    path = Path(given)
    if given in catalog.PACKAGED or path.suffix == ".safetensors" or is_exported(path):
        return False
    if path.is_dir() or path.suffix.lower() == ".npz":
        return True
    what = "packaged weights, a .safetensors file, an exported folder, a folder of masks or an .npz file; packaged are"
    raise catalog.unknown_model(given, sorted(catalog.PACKAGED), what)


def _without_void(names: tuple[str, ...]) -> tuple[str, ...]:
    """Void at the end is not a class of a model."""
    return names[:-1] if names[-1].lower() == "void" else names


def _check_same(one: Palette, other: Palette, *, by_name: bool) -> None:
    apart = [f"{a} and {b}" for a, b in zip(one.names, other.names, strict=False) if a.lower() != b.lower()]
    if len(one.names) == len(other.names) and not (by_name and apart):
        return
    what = "" if len(one.names) != len(other.names) else f"; first {apart[0]}"
    raise ConfigError(
        f"{one.source} has {len(one.names)} classes, {other.source} {len(other.names)}{what}",
        expected="the same classes in the same order on both sides",
        do="compare models of one data set, or map the classes of one and save its masks",
    )
