from __future__ import annotations

import threading

from tdseg.live.scheduler import Scheduler

WAIT_S = 10.0


class Taker:
    """One with so much to do; each turn is noted, once it may go on."""

    def __init__(self, name: str, work: int, turns: list[str]) -> None:
        self.name, self.left, self.turns = name, work, turns
        self.begun, self.may_go_on, self.done = threading.Event(), threading.Event(), threading.Event()
        self.may_go_on.set()
        self.at_work = threading.Lock()

    @property
    def waits(self) -> bool:
        return self.left > 0

    def work(self) -> None:
        assert self.at_work.acquire(blocking=False)  # nobody has two turns at once
        self.begun.set()
        assert self.may_go_on.wait(WAIT_S)
        self.turns.append(self.name)
        self.left -= 1
        self.at_work.release()
        if not self.left:
            self.done.set()


def test_turns_go_round() -> None:
    turns: list[str] = []
    first = Taker("first", 1, turns)
    takers = [Taker(name, work, turns) for name, work in (("a", 4), ("b", 2), ("c", 4))]
    scheduler = Scheduler(1)
    first.may_go_on.clear()
    scheduler.ask(first)
    assert first.begun.wait(WAIT_S)
    for taker in takers * 2:  # who asks twice waits once
        scheduler.ask(taker)
    first.may_go_on.set()
    assert all(taker.done.wait(WAIT_S) for taker in takers)
    scheduler.stop()
    assert turns == ["first", "a", "b", "c", "a", "b", "c", "a", "c", "a", "c"]


def test_one_taker_never_has_two_workers() -> None:
    turns: list[str] = []
    busy, other = Taker("busy", 2, turns), Taker("other", 1, turns)
    scheduler = Scheduler(2)
    busy.may_go_on.clear()
    scheduler.ask(busy)
    assert busy.begun.wait(WAIT_S)
    scheduler.ask(busy)
    scheduler.ask(other)
    assert other.done.wait(WAIT_S)  # by the other worker, which did not wait for the busy one
    busy.may_go_on.set()
    assert busy.done.wait(WAIT_S)
    scheduler.stop()
    assert turns == ["other", "busy", "busy"]
