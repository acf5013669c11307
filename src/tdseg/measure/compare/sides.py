"""The two that are compared: models and masks, opened, and brought to one list of classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tdseg.errors import ConfigError
from tdseg.inference.pipeline import warm_up
from tdseg.inference.stream import Stream
from tdseg.masks.classes import class_difference
from tdseg.masks.palette import Palette, color_table
from tdseg.masks.reading import Masks, open_masks, size_text
from tdseg.runtime.manifest import is_exported
from tdseg.runtime.network import Execution
from tdseg.zoo import catalog
from tdseg.zoo.load import prepare


class Side(NamedTuple):
    """One of the two."""

    about: str
    """Name or path as given, and kind."""
    source: Stream | Masks
    """A model, warmed up, on its way through the video; or a mask for each of its frames."""


def open_sides(
    given: Sequence[str], palette: Palette | None, *, size: tuple[int, int] | None, execution: Execution
) -> tuple[list[Side], Palette | None]:
    """Models first, for they know the classes that masks may have.

    Args:
        given: of each side: the name of packaged weights, a .safetensors file, an exported folder, or masks as in
            `open_masks`.
        palette: the classes, if they are not to be those of the models.
        size, execution: of models, as in `tdseg.segment`.

    Returns:
        The sides, and the classes of both; None: unknown, masks may have any.

    Raises:
        ConfigError: a side that is none of these, or classes that differ.
        WeightsError, DataError: weights or masks that cannot be used.
    """
    are_masks = [_are_masks(name) for name in given]
    models = [
        None if masks else _open_model(name, size, execution) for name, masks in zip(given, are_masks, strict=True)
    ]
    known = [classes for _, classes in filter(None, models)]
    if palette:
        known = [palette._replace(names=_without_void(palette.names)), *known]
    for other in known[1:]:
        _check_same(known[0], other, by_name=not palette)
    classes = palette or (known[0] if known else None)
    sides = [
        model[0] if model else Side(f"{name}: masks", open_masks(name, classes))
        for name, model in zip(given, models, strict=True)
    ]
    return sides, known[0] if known else None


def _are_masks(given: str) -> bool:
    path = Path(given)
    if given in catalog.PACKAGED or path.suffix == ".safetensors" or is_exported(path):
        return False
    if path.is_dir() or path.suffix.lower() == ".npz":
        return True
    what = "packaged weights, a .safetensors file, an exported folder, a folder of masks or an .npz file; packaged are"
    raise catalog.unknown_model(given, sorted(catalog.PACKAGED), what)


def _open_model(given: str, size: tuple[int, int] | None, execution: Execution) -> tuple[Side, Palette]:
    """The side, and the classes of the model."""
    model = prepare(given, execution, size=size)
    stream, config = Stream(model, size), model.config
    warm_up(stream)
    names = config.classes or tuple(f"class {index}" for index in range(config.num_classes))
    colors = color_table(config.palette)[: config.num_classes]
    what = f"{given}: model, {size_text(stream.size)} in {model.runtime} {model.precision} on {model.device}"
    return Side(what, stream), Palette(given, names, colors)


def _without_void(names: tuple[str, ...]) -> tuple[str, ...]:
    """Void at the end is not a class of a model."""
    return names[:-1] if names[-1].lower() == "void" else names


def _check_same(one: Palette, other: Palette, *, by_name: bool) -> None:
    if difference := class_difference(one.names, other.names if by_name else len(other.names)):
        raise ConfigError(
            f"{other.source} beside {one.source}: {difference}",
            expected="the same classes in the same order on both sides",
            do="compare models of one data set, or map the classes of one and save its masks",
        )
