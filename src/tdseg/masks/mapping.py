"""Masks of one list of classes as masks of another: by name, or by a file that says which class is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tdseg.errors import ConfigError, DataError
from tdseg.masks.classes import class_difference, plain_name
from tdseg.masks.palette import numbered_lines
from tdseg.metrics.basic import Mask
from tdseg.metrics.iou import VOID

_SHOWN = 12
"""Names that an error lists at most."""
_DO = 'write a text file with a line "{} = class of the data" for each class, and give it with --class-map'


class ClassMapping:
    """From the classes of a model to those of a data set, applied to masks.

    Args:
        targets: class of the data by class of the model. The others of the model are none of the data: they become
            VOID, which is wrong wherever a label says something.
        classes: of the data, by index.
        how: in words, such as "by name".

    Attributes:
        table: uint8 (256,), of each value of a mask the one it becomes.
        left_out: classes of the data that no class of the model stands for.
        told: how classes were mapped and which are left out, in words.
    """

    def __init__(self, targets: Mapping[int, int], classes: Sequence[str], how: str) -> None:
        self.table, self._known = np.full(256, VOID, np.uint8), np.arange(256, dtype=np.uint8)
        for source, target in targets.items():
            self.table[source] = target
        unknown = sorted(set(range(len(classes))) - set(targets.values()))
        self._known[unknown] = VOID
        self.left_out = tuple(classes[index] for index in unknown)
        self.told = f"classes mapped {how}"
        if unknown:
            self.told += f", without {', '.join(self.left_out)}, which no class of the model stands for"

    def __call__(self, mask: Mask) -> Mask:
        """A mask of the model, uint8 of any shape, in the classes of the data."""
        mapped: Mask = self.table.take(mask)
        return mapped

    def known(self, label: Mask) -> Mask:
        """A label of the data, uint8 of any shape, VOID where its class is one of those left out."""
        kept: Mask = self._known.take(label)
        return kept


def map_classes(
    model: Sequence[str] | int, data: Sequence[str], file: str | Path | None = None, *, between: str
) -> ClassMapping | None:
    """How the masks of a model become masks of a data set; None: they are, its classes being the same.

    Args:
        model: names by index, or how many there are where these are not known.
        data: names by index.
        file: text with a line "class of the model = class of the data" for each; several of the model may be one of the
            data, "= void" is none, and those without a line are none. Empty and # lines are skipped. A class of a model
            without names is its index. Case does not count, nor does an underscore for a space. Without a file, every
            class of the data is to be one of the model by name, in any order.
        between: the model and the data, printable.

    Raises:
        ConfigError: classes that differ, without a file, and not every one of the data is one of the model.
        DataError: the file cannot be read, or a line has another form, an unknown class, or one that was there before.
    """
    names = [str(index) for index in range(model)] if isinstance(model, int) else model
    if file is not None:
        return ClassMapping(_read_targets(file, names, data), data, f"by {file}")
    difference = class_difference(model, data)
    if not difference:
        return None
    if isinstance(model, int):
        raise ConfigError(
            f"{between}: {difference}",
            expected="a model of the classes of the data; it has no names that could tell which is which",
            do=_DO.format("index in the model") + ", or choose another model",
        )
    targets = {plain_name(name): index for index, name in enumerate(data)}
    mapped = {index: targets[plain_name(name)] for index, name in enumerate(names) if plain_name(name) in targets}
    if missing := [name for index, name in enumerate(data) if index not in mapped.values()]:
        raise ConfigError(
            f"{between}: {difference}; no class of the model is called {_listed(missing)}",
            expected="a model that has every class of the data, by name and in any order",
            do=_DO.format("class of the model") + ", or choose another model",
        )
    return ClassMapping(mapped, data, "by name")


def _read_targets(path: str | Path, model: Sequence[str], data: Sequence[str]) -> dict[int, int]:
    """Class of the data by class of the model, as a file says."""
    places: dict[str, list[int]] = {}
    for index, name in enumerate(model):
        places.setdefault(plain_name(name), []).append(index)
    targets = {plain_name(name): index for index, name in enumerate(data)} | {"void": VOID}
    mapped: dict[int, int] = {}
    for number, line in numbered_lines(path):
        at = f"{path}, line {number}: {line[:80]!r}"
        source, equals, target = (part.strip() for part in line.partition("="))
        if not (source and equals and target):
            raise DataError(
                at, expected="class of the model = class of the data", do="write it like person = Pedestrian"
            )
        for name, known, whose in ((source, places, model), (target, targets, [*data, "void"])):
            if plain_name(name) not in known:
                side = "the model" if whose is model else "the data"
                raise DataError(
                    f"{at}: {name[:80]!r} is no class of {side}",
                    expected=f"one of {_listed(whose)}",
                    do="correct the name; the model's class goes first",
                )
        found = places[plain_name(source)]
        if found[0] in mapped:
            raise DataError(
                f"{at} has {source} again", expected="one line for each class of the model", do="remove one of them"
            )
        mapped |= dict.fromkeys(found, targets[plain_name(target)])
    kept = {source: target for source, target in mapped.items() if target != VOID}
    if not kept:
        raise DataError(
            f"{path}: no line that maps a class to one of the data",
            expected="class of the model = class of the data",
            do="write a line for each class, such as person = Pedestrian",
        )
    return kept


def _listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
