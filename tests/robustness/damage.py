"""Ways to damage bytes and values, each drawn from a generator of random numbers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from random import Random
from typing import Any

BINARY = (b"\x00", b"\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\x00\x00\x00", b"\xff" * 8)
TEXTS = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\x1b[31mred\x1b]0;title\x07",
    "../../../etc/passwd",
    "/dev/null",
    "-",
    "--help",
    "x" * 300,
    "x" * 70_000,
    "9" * 5000,
    "nan",
    "\u202egnp.exe",
    "[bold]markup[/]",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    "%s%n{0}",
)
NUMBERS = (0, -1, 1, 2, 3, 255, 256, 999, 10**6, 10**8, 10**9, 2**31, 2**32, 2**63, 2**64, 10**30, -(2**63))
FLOATS = (0.0, -0.0, 1e-300, 1e300, 1.5, -1.5, float("inf"), float("-inf"), float("nan"))
HOSTILE: tuple[Any, ...] = (*NUMBERS, *FLOATS, *TEXTS, None, True, False, [], {}, [[]], [0, 0], [1] * 300, {"a": {}})
"""Values that stand where others were expected."""
YAML_VALUES = (
    "2026-99-99",
    "2026-01-01 99:99:99",
    "0b_",
    "0x_",
    "!!int x",
    "!!float y",
    "!!timestamp z",
    "!!binary '*'",
    "!!set {a: b}",
    "!!python/object/apply:os.system [true]",
    "1:99:99",
    "9" * 5000,
    "-" + "9" * 5000,
    "1e999",
    ".nan",
    ".inf",
    "-.inf",
    "*nothing",
    "&a [*a]",
    "[" * 3000,
    "{a: " * 2000,
    "[" * 400 + "]" * 400,
    "? [a, b] : c",
    "<<: 3",
    "{<<: [1, 2]}",
    "'\x1b[31m'",
    '"\\ud800"',
    "\x00",
    "\ufffe",
    "%YAML 9.9",
    "|",
    "@",
    "`",
)
"""Values as they are written in YAML, which it cannot build, or which are more than they seem."""


def bomb(levels: int = 9) -> str:
    """A few lines of YAML whose aliases stand for 10^levels entries."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def damaged(data: bytes, random: Random) -> bytes:
    """Bytes, one to four times damaged."""
    kept = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        random.choice(WAYS)(kept, random)
    return bytes(kept)


def _truncate(data: bytearray, random: Random) -> None:
    del data[random.randrange(len(data) + 1) :]


def _flip(data: bytearray, random: Random) -> None:
    for _ in range(random.choice((1, 3, 30, 300)) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)


def _front(data: bytearray, random: Random) -> None:
    """The headers are at the front, as a rule."""
    for _ in range(random.choice((1, 3, 8)) if data else 0):
        data[random.randrange(min(len(data), 96))] = random.choice((0, 1, 127, 128, 255, random.randrange(256)))


def _overwrite(data: bytearray, random: Random) -> None:
    at, value = random.randrange(len(data) + 1), random.choice(BINARY)
    data[at : at + len(value)] = value


def _blank(data: bytearray, random: Random) -> None:
    at, length = random.randrange(len(data) + 1), random.choice((4, 64, 1024))
    length = min(length, len(data) - at)
    data[at : at + length] = bytes(length)


def _noise(data: bytearray, random: Random) -> None:
    at, length = random.randrange(len(data) + 1), random.choice((16, 256, 4096))
    data[at : at + length] = random.randbytes(length)


def _repeat(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    data[at:at] = data[at : at + random.choice((8, 512, 8192))]


def _cut_out(data: bytearray, random: Random) -> None:
    at = random.randrange(len(data) + 1)
    del data[at : at + random.choice((1, 7, 512))]


WAYS = (_truncate, _truncate, _flip, _front, _overwrite, _blank, _noise, _repeat, _cut_out)


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value inside of plain values is, the inner ones among them."""
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from leaves(inner, (*place, key))


def changed(values: Any, random: Random, hostile: tuple[Any, ...] = HOSTILE) -> Any:
    """Plain values, of which one or two are others, or gone, or one is there that is unknown."""
    values = copy.deepcopy(values)
    for _ in range(random.choice((1, 1, 2))):
        places = list(leaves(values))
        if not places:
            return values
        *way, last = random.choice(places)
        at = values
        for key in way:
            at = at[key]
        match random.randrange(12):
            case 0:
                del at[last]
            case 1 if isinstance(at, dict):
                at[random.choice(TEXTS)] = copy.deepcopy(random.choice(hostile))
            case 2:
                at[last] = [at[last]] * random.choice((0, 2, 300))
            case 3 if isinstance(at[last], int | float):
                at[last] = at[last] * random.choice((-1, 0, 2, 3, 1000, 0.5))
            case _:
                at[last] = copy.deepcopy(random.choice(hostile))
    return values
