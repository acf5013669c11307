"""From files that are made to a result in its place: all of them or none, whenever a run is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

try:
    import fcntl
except ImportError:  # elsewhere than on POSIX runs are not held apart
    fcntl = None  # type: ignore[assignment]

from tdseg.errors import OutputError, first_line
from tdseg.files import parse_json, unwritable
from tdseg.files.guards import check_places, is_folder, paths_inside, refuse_links

STAGING = ".partial"
"""Where a result is made, in its place."""
MADE, MARK, LOCK = "made", "whole.json", "lock"
ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
"""Signals that ask a program to end."""


@contextmanager
def claimed(place: Path) -> Iterator[Path]:
    """The folder in which a result is made, for one run at a time, until that ends in whatever way.

    What a run that was killed while it published had left is put in its place before.

    Args:
        place: folder of the result; made if missing.

    Yields:
        The hidden folder in it. It stays where something is in it beside the lock.

    Raises:
        OutputError: another run works here, or links are among what is hidden.
        OSError: it cannot be made.
    """
    staging = place / STAGING
    new = [folder for folder in (place, *place.parents) if not folder.exists()]
    while True:
        refuse_links(staging)
        staging.mkdir(parents=True, exist_ok=True)
        try:
            lock = os.open(staging / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # another run has just ended
            continue
        ours = False
        try:
            _lock(lock, place)
            ours = True
            if os.fstat(lock).st_nlink > 1:  # also a file of others
                (staging / LOCK).unlink()
            if _is_there(lock, staging / LOCK):
                _sign(lock)
                _roll_forward(staging, place)
                yield staging
                break
        finally:
            with suppress(OSError):  # from the lock on, another run may be here
                if ours and _is_there(lock, staging / LOCK) and os.listdir(staging) == [LOCK]:
                    (staging / LOCK).unlink()
                    for folder in (staging, *new):
                        folder.rmdir()
            os.close(lock)


@contextmanager
def in_turn(path: Path) -> Iterator[None]:
    """One after the other makes a file or folder meanwhile, of all processes; a hidden file stays beside it.

    Raises:
        OSError: that file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path.with_name(f".{path.name}.{LOCK}"), "ab") as lock:
        if fcntl:
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def contents(place: Path) -> set[str]:
    """Names of what is in the folder of a result, when what a run that was killed had left is in its place.

    Raises:
        OutputError: another run works here.
        OSError: it cannot be read.
    """
    if os.path.lexists(place / STAGING):
        with claimed(place):
            pass
    return {name for name in os.listdir(place) if name != STAGING}


def settle(path: Path) -> None:
    """See to it that files which are about to be read are of one result, if a run was killed while it published them.

    Args:
        path: of a result, or of a file or folder in it.

    Raises:
        OutputError: a run publishes there at this moment, or what another left cannot be put in its place.
    """
    for place in (path, path.parent):
        if os.path.lexists(place / STAGING / MARK):
            try:
                contents(place)
            except OSError as error:
                raise unwritable(place, error) from error


def _lock(lock: int, place: Path) -> None:
    if fcntl:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(lock, 200).decode(errors="replace").strip() or "another run"
            raise OutputError(
                f"output folder {place} is in use by {owner}",
                expected="a folder in which no other run works",
                do="wait until that has ended, or choose another with --output",
            ) from None


def _sign(lock: int) -> None:
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} of {socket.gethostname()}\n".encode())


def _is_there(lock: int, path: Path) -> bool:
    """Whether a lock that was taken is still the one that others see."""
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path, follow_symlinks=False))
    except OSError:
        return False


@contextmanager
def whole_folder(path: Path, former: Collection[Path] = (), last: Path | None = None) -> Iterator[Path]:
    """An empty folder to fill, whose files then take the place of former ones; after an error they are gone.

    Args:
        path: the folder to be, which may hold files of others.
        former, last: as of `publish`.

    Raises:
        OutputError: for any OSError that is met on the way; and as of `claimed` and `publish`.
    """
    try:
        with claimed(path) as staging:
            try:
                shutil.rmtree(staging / MADE, ignore_errors=True)  # of a run that was killed
                (staging / MADE).mkdir()
                yield staging / MADE
                publish(staging, path, former, last)
            finally:
                if not os.path.lexists(staging / MARK):  # else it is needed to end what had begun
                    shutil.rmtree(staging / MADE, ignore_errors=True)
    except OSError as error:
        raise unwritable(path, error) from error


def publish(staging: Path, place: Path, former: Collection[Path], last: Path | None) -> None:
    """Put the files that are in the folder MADE of a staging folder in their place, and empty that.

    Until all of them are safe on the disk nothing else changes; from then on it is done by whoever claims the place
    next, if this run is killed. Signals that would end it wait. Files of one frame each are left to the system to save.

    Args:
        staging: of `claimed`.
        place: of the result.
        former: files of the former result, relative to the place; those that are not made anew are removed.
        last: the file that makes a result of all the others, if there is one; it goes first and comes last.

    Raises:
        OutputError: a file of others stands where one is to be placed.
        OSError: something cannot be written.
    """
    made = sorted(path.relative_to(staging / MADE) for path in (staging / MADE).rglob("*") if path.is_file())
    former = [name for name in former if not is_folder(place / name)]
    check_places(place, made, former)
    for name in made:
        if name.parent == Path():
            _sync(staging / MADE / name)
    mark = {"made": [str(name) for name in made], "former": [str(name) for name in former], "last": last and str(last)}
    (staging / f"{MARK}.new").unlink(missing_ok=True)
    (staging / f"{MARK}.new").write_text(json.dumps(mark), encoding="utf-8")
    _sync(staging / f"{MARK}.new")
    with signals_deferred():
        (staging / f"{MARK}.new").replace(staging / MARK)
        _sync(staging)
        _roll_forward(staging, place)


def _roll_forward(staging: Path, place: Path) -> None:
    """Do what is left of publishing, if it had begun; done twice it is the same."""
    try:
        mark = parse_json((staging / MARK).read_bytes())
        made, former = paths_inside(place, mark["made"]), set(paths_inside(place, mark["former"]))
        paths_inside(staging, [os.path.join(MADE, name) for name in mark["made"]])
        last = paths_inside(place, [mark["last"]])[0] if mark["last"] else None
    except FileNotFoundError:
        return
    except (ValueError, LookupError, TypeError) as error:
        raise OutputError(
            f"{staging / MARK} is not of a run of tdseg: {first_line(error)}",
            expected="what a run leaves that was killed while it published",
            do=f"look into {staging}, which may hold a result, and remove it",
        ) from None
    if last and (staging / MADE / last).exists():
        (place / last).unlink(missing_ok=True)
    for name in former - set(made) - {last}:
        (place / name).unlink(missing_ok=True)
    for name in sorted(made, key=lambda name: name == last):
        if (staging / MADE / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / MADE / name).replace(place / name)
    for folder in {name.parent for name in former} - {name.parent for name in made} - {Path()}:
        if (place / folder).is_dir() and not os.listdir(place / folder):
            (place / folder).rmdir()
    _sync(place)
    for path in staging.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (MARK, LOCK):
            path.unlink()
    (staging / MARK).unlink()


def _sync(path: Path) -> None:
    """Have a file or a folder safe on the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextmanager
def signals_deferred() -> Iterator[None]:
    """Signals that end a program wait; outside of the main thread they do not."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        came.append(number)

    before = {number: signal.signal(number, remember) for number in ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        for number in came:
            signal.raise_signal(number)
