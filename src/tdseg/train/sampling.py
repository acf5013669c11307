"""Which clip each draw of a run takes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import floor

import numpy as np
from numpy.typing import NDArray

_ROUND = 64
"""Draws whose sources are shuffled together."""


class Sampling:
    """Draws from weighted sources without replacement, as a function of seed and draw: there is nothing to save.

    Every round of draws has each source as often as its weight demands, at random places. A source gives all of its
    clips, in random order, before one comes again; then all of them in another order.

    Args:
        weights: of the sources, relative; positive.
        sizes: clips in each.
        seed: of the run.
    """

    def __init__(self, weights: Sequence[float], sizes: Sequence[int], seed: int) -> None:
        self._sizes, self._seed = sizes, seed
        exact = [Fraction(weight) for weight in weights]
        self._shares = [weight / sum(exact[i:]) for i, weight in enumerate(exact)]  # of what those before leave

    def turn(self, draw: int) -> tuple[int, int]:
        """The source of a draw, and how many draws of it were before: its turn."""
        index, place = divmod(draw, _ROUND)
        before, after = self._dealt(index * _ROUND), self._dealt((index + 1) * _ROUND)
        sources = np.repeat(np.arange(len(before)), after - before)[_permutation(_ROUND, self._seed, index)]
        source = int(sources[place])
        return source, int(before[source] + np.count_nonzero(sources[:place] == source))

    def clip(self, source: int, turn: int) -> int:
        """The index of the clip that a source gives at its turn."""
        epoch, place = divmod(turn, self._sizes[source])
        return int(_permutation(self._sizes[source], self._seed, source, epoch)[place])

    def _dealt(self, draws: int) -> NDArray[np.int64]:
        """(sources,) how many of the first draws are of each; never fewer of more draws."""
        dealt = []
        for share in self._shares:
            dealt.append(floor(draws * share))
            draws -= dealt[-1]
        return np.array(dealt)


@lru_cache(maxsize=16)
def _permutation(count: int, seed: int, *key: int) -> NDArray[np.int64]:
    """(count,) as a function of seed and key; the last ones are kept, for draws go from one place to the next."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).permutation(count)
