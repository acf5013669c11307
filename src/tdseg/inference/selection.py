"""What is to be made of a video, and its classes: all that a network knows, or some, and the rest as one."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch

from tdseg.config import ModelConfig
from tdseg.errors import ConfigError
from tdseg.inference.parts import NetworkFacts
from tdseg.inference.stream import Result
from tdseg.inference.writers import WRITERS
from tdseg.masks.appearance import Appearance
from tdseg.masks.classes import plain_name
from tdseg.masks.palette import color_table
from tdseg.metrics.iou import VOID
from tdseg.video import Excerpt, VideoReader
from tdseg.video.container import URL_TIMEOUT_S
from tdseg.video.reconnecting import Patience, open_lasting

MOST_AWAY_S = 1e9
PASSING = ("overwrite", "resume", "latest", "reconnect_s")
"""Of an order, what a result does not depend on."""
REST_COLOR = (112, 112, 112)


class Selection:
    """Classes that were asked for, in that order, and after them one for all the others.

    Args:
        network: what knows the classes.
        asked: names or indices of its classes; case does not count, nor does an underscore for a space. Empty: all of
            them, as they are.
        appearance: gives the colours.

    Attributes:
        names: of the classes.
        colors: RGB of every mask value, (256, 3).
        has_rest: the last class is all that was not asked for.

    Raises:
        ConfigError: a class that the network does not know.
        DataError: as of `Appearance.recolored`.
    """

    def __init__(self, network: ModelConfig | NetworkFacts, asked: Sequence[str], appearance: Appearance) -> None:
        own = network.class_names
        colors = appearance.recolored((*own, *(("other",) if asked else ())), color_table(network.palette))
        self._groups = [list(group) for group in dict.fromkeys(tuple(_find(own, name)) for name in asked)]
        self._is_all = not asked
        rest = sorted(set(range(len(own))) - {index for group in self._groups for index in group})
        self.has_rest = bool(asked and rest)
        if self._is_all:
            self.names, self.colors = own, colors
            return
        self.names = tuple(own[group[0]] for group in self._groups)
        palette = [tuple(colors[group[0]].tolist()) for group in self._groups]
        if self.has_rest:
            self._groups.append(rest)
            # A palette may name it, as one more class after those of the network.
            unnamed = np.array_equal(colors[len(own)], color_table(network.palette)[len(own)])
            palette.append(REST_COLOR if unnamed else tuple(colors[len(own)].tolist()))
            self.names = (*self.names, "rest" if "other" in self.names else "other")
        self.colors = color_table(palette)
        self.colors[VOID] = colors[VOID]
        self._table = np.full(256, VOID, np.uint8)
        for value, group in enumerate(self._groups):
            self._table[group] = value

    def of(self, result: Result) -> Result:
        """A result of the network in these classes: a class asked for has the pixels that it has among all classes."""
        if self._is_all:
            return replace(result, colors=self.colors)
        logits = torch.stack([result.logits[:, group].float().logsumexp(1) for group in self._groups], 1)
        mask = self._table.take(result.mask)
        return replace(result, mask=mask, logits=logits, classes=self.names, colors=self.colors)


def _find(own: Sequence[str], asked: str) -> list[int]:
    """The indices of the classes of a name, or the index that it is."""
    known = [plain_name(name) for name in own]
    found = [index for index, name in enumerate(known) if name == plain_name(asked)]
    if not found and asked.isdecimal() and int(asked) < len(own):
        found = [int(asked)]
    if found:
        return found
    near = difflib.get_close_matches(plain_name(asked), known, n=1)
    raise ConfigError(
        f"class {asked!r}, which the model does not know",
        expected=", ".join(own),
        do=f"did you mean {own[known.index(near[0])]}?" if near else "choose some of them, by name or index",
    )


class Order(NamedTuple):
    """All that is to be made of a video; see `segment_all`."""

    excerpt: Excerpt = Excerpt()
    deinterlace: bool = True
    stills: bool = False
    classes: tuple[str, ...] = ()
    appearance: Appearance = Appearance()
    names: Literal["source", "index"] = "source"
    write: tuple[str, ...] = ()
    overwrite: bool = False
    resume: bool = False
    latest: bool | None = None
    reconnect_s: float = 60.0

    def check(self) -> None:
        """See what can be seen before the network is loaded.

        Raises:
            ConfigError: an output that there is not, or that lacks what it is to show.
        """
        if unknown := [name for name in self.write if name not in WRITERS]:
            raise ConfigError(
                f"output {', '.join(map(repr, unknown))}",
                expected=", ".join(WRITERS),
                do="name some of them, as in --write masks,overlay, or none",
            )
        if not 0 <= self.reconnect_s <= MOST_AWAY_S:
            raise ConfigError(
                f"reconnect_s {self.reconnect_s:g}",
                expected=f"0 … {MOST_AWAY_S:g} seconds",
                do="choose another --reconnect-s",
            )
        if "matte" in self.write and not self.classes:
            raise ConfigError(
                "a matte without classes", expected="the classes that it is of", do="name them with --classes"
            )

    def lasting(self) -> dict[str, Any]:
        """What a result depends on, as plain values."""
        asked = self._asdict() | {"excerpt": asdict(self.excerpt), "appearance": asdict(self.appearance)}
        asked["appearance"]["palette"] = None if self.appearance.palette is None else str(self.appearance.palette)
        return {name: value for name, value in asked.items() if name not in PASSING}

    def open(self, source: str | Path | int) -> VideoReader:
        """The source of which this is to be made: what is live is opened again when it breaks off.

        Raises:
            VideoError, ConfigError: as of `open_video`.
        """
        patience = Patience(timeout_s=URL_TIMEOUT_S, away_s=self.reconnect_s)
        return open_lasting(source, self.excerpt, deinterlace=self.deinterlace, patience=patience)

    def skips(self, reader: VideoReader) -> bool:
        """Whether of frames that come faster than they are segmented only the newest are."""
        return reader.is_live if self.latest is None else self.latest

    def selection(self, network: ModelConfig | NetworkFacts) -> Selection:
        """The classes of the masks of a network.

        Raises:
            ConfigError: as of Selection; or a matte of all the classes there are.
        """
        selection = Selection(network, self.classes, self.appearance)
        if "matte" in self.write and not selection.has_rest:
            raise ConfigError(
                "a matte of all classes, which is 1 everywhere", expected="some of them", do="name fewer with --classes"
            )
        return selection
