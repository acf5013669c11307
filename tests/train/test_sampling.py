from __future__ import annotations

from collections import Counter

import pytest

from tdseg.train.sampling import Sampling


def drawn(sampling: Sampling, draws: range) -> list[tuple[int, int]]:
    """(source, index) of each draw."""
    return [(source, sampling.clip(source, turn)) for source, turn in map(sampling.turn, draws)]


@pytest.mark.parametrize("weights", [(1,), (3, 1), (1, 1e-9), (0.1, 0.2, 0.7), (5, 1, 1, 1, 1e-3)])
def test_sources_have_their_shares_of_every_stretch_and_lose_no_turn(weights: tuple[float, ...]) -> None:
    sampling = Sampling(weights, [7] * len(weights), 0)
    turns = [sampling.turn(draw) for draw in range(64 * 50)]
    for source, weight in enumerate(weights):
        assert [turn for one, turn in turns if one == source] == [*range(sum(one == source for one, _ in turns))]
        for draws in (64, 640, 64 * 50):
            share = draws * weight / sum(weights)
            assert abs(Counter(one for one, _ in turns[:draws])[source] - share) < len(weights)


def test_an_epoch_has_every_clip_once_in_an_order_of_its_own() -> None:
    sampling = Sampling((1, 2), (5, 300), 3)
    everything = drawn(sampling, range(1200))
    for source, size in ((0, 5), (1, 300)):
        indices = [index for one, index in everything if one == source]
        epochs = [indices[first : first + size] for first in range(0, len(indices) - size + 1, size)]
        assert len(epochs) >= 2
        assert all(sorted(epoch) == [*range(size)] for epoch in epochs)
        assert epochs[0] != epochs[1]
    assert drawn(Sampling((1, 2), (5, 300), 3), range(500, 600)) == everything[500:600]
    assert drawn(Sampling((1, 2), (5, 300), 4), range(100)) != everything[:100]


def test_sources_come_to_every_place_of_a_batch() -> None:
    """Else a path, or a process, would see one of them only."""
    sampling = Sampling((1, 1), (9, 9), 0)
    places = Counter((draw % 4, sampling.turn(draw)[0]) for draw in range(800))
    assert len(places) == 8
    assert min(places.values()) > 60
