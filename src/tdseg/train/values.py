"""The values of a recipe: of its file, of the file that it builds on, and of the command line."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from tdseg.errors import ConfigError
from tdseg.files import parse_yaml, read_fields

_SIZE = re.compile(r"([1-9]\d*)[xX]([1-9]\d*)")


def read_values(path: Path, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The fields of a recipe file, over those of the file that its `base` names, relative to it, and so on.

    Args:
        path: of the file.
        above: the files that build on it.

    Raises:
        ConfigError: a file is missing, holds no fields, or is its own base.
    """
    if not os.path.isfile(path):
        named = f", the base of {above[-1]}" if above else ""
        raise ConfigError(f"no recipe {path}{named}", expected="a YAML file as in configs/", do="check the path")
    if os.path.realpath(path) in map(os.path.realpath, above):
        raise ConfigError(
            f"{path} builds on itself: {' → '.join(map(str, (*above, path)))}",
            expected="recipes that build on others in one direction",
            do="take `base` out of one of them",
        )
    values = read_fields(path, ConfigError, expected="a recipe as in configs/", do="correct the file")
    base = values.pop("base", None)
    return values if base is None else merge(read_values(path.parent / str(base), (*above, path)), values)


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """The values of both; where both have one, mappings are merged and of all else `over` has its way."""
    merged = under | over
    for key in under.keys() & over.keys():
        if isinstance(under[key], dict) and isinstance(over[key], dict):
            merged[key] = merge(under[key], over[key])
    return merged


def assign(values: dict[str, Any], flags: Sequence[str], schema: type[BaseModel]) -> None:
    """Set fields as the command line says.

    Args:
        values: of the recipe, changed in place.
        flags: such as ["--optimizer.lr", "0.005", "--augmentation.crop=288x384", "--sources.0.root", "data/camvid"]; a
            value is YAML, or HxW for a size.
        schema: says which fields there are.

    Raises:
        ConfigError: a flag without value, a value that is not YAML, or a field that there is not.
    """
    fields = _fields_in(schema) or {}
    for flag, text in pairs(flags):
        keys = flag.removeprefix("--").replace("-", "_").split(".")
        level: dict[str, Any] | None = fields
        for key in keys:
            if level is None:
                break
            name = "0" if "0" in level else key
            if name not in level:
                raise _unknown(fields, keys, flag, list(level))
            level = level[name]
        _set(values, keys, _value(flag, text), flag)


def pairs(flags: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(flag, value) of "--flag value" and "--flag=value"."""
    rest = list(flags)
    while rest:
        flag, equals, text = rest.pop(0).partition("=")
        if not re.fullmatch(r"--\w[\w.-]*", flag):
            raise ConfigError(f"{flag!r} after the recipe", expected="--field value", do="such as --steps 100")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{flag} without a value", expected=f"{flag} VALUE", do="add the value, such as true")
            text = rest.pop(0)
        yield flag, text


def _value(flag: str, text: str) -> Any:
    if size := _SIZE.fullmatch(text):
        return [int(size[1]), int(size[2])]
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise ConfigError(
            f"{flag} {text} ({error})", expected="a value as in a YAML file", do="quote or correct it"
        ) from None


def _fields_in(kind: Any) -> dict[str, Any] | None:
    """The fields inside a type, with those inside each of them; "0" stands for every item. None: anything may be."""
    kinds = [inner for inner in get_args(kind) if inner is not NoneType]
    if len(kinds) == 1 and NoneType in get_args(kind):  # X | None
        return _fields_in(kinds[0])
    if get_origin(kind) is tuple:
        inside = _fields_in(kinds[0])
        return {"0": inside} if inside else None
    if dict in (kind, get_origin(kind)):
        return None  # such as overrides, checked where it is used
    is_model = isinstance(kind, type) and issubclass(kind, BaseModel)
    return {name: _fields_in(field.annotation) for name, field in kind.model_fields.items()} if is_model else {}


def _unknown(fields: dict[str, Any], keys: Sequence[str], flag: str, beside: list[str]) -> ConfigError:
    names = list(_names(fields))
    by_last = {name: name.rpartition(".")[2] for name in names}
    near = [name for name, last in by_last.items() if last == keys[-1]]
    near += difflib.get_close_matches(".".join(keys), names, n=3)
    near += [name for name, last in by_last.items() if difflib.get_close_matches(keys[-1], [last], cutoff=0.75)]
    offered = " or ".join(f"--{name}" for name in list(dict.fromkeys(near))[:3])
    return ConfigError(
        f"{flag}: a recipe has no field {'.'.join(keys)}",
        expected=f"one of {', '.join(beside) or 'those in docs/training.md'}, or an option of tdseg train --help",
        do=f"did you mean {offered}?" if offered else "see docs/training.md for every field",
    )


def _names(fields: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of all fields; those of the first item stand for a list's."""
    for name, inside in fields.items():
        yield from _names(inside, f"{prefix}{name}.") if inside else [prefix + name]


def _set(values: dict[str, Any], keys: Sequence[str], value: Any, flag: str) -> None:
    place: Any = values
    for i, key in enumerate(keys):
        where: Any = key
        if isinstance(place, list):
            if not key.isdecimal() or int(key) >= len(place):
                raise ConfigError(
                    f"{flag}: {'.'.join(keys[:i])} has {len(place)} entries here",
                    expected=f"the number of one of them, 0 … {len(place) - 1}",
                    do="add an entry in the file, or replace them all by a list",
                )
            where = int(key)
        if i == len(keys) - 1:
            place[where] = value
        elif not isinstance(place[where] if isinstance(place, list) else place.get(where), (dict, list)):
            place[where] = {}
        place = place[where]
