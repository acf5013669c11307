"""The machine and what is installed on it: devices, threads, memory, optional packages."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tdseg.errors import ConfigError

if TYPE_CHECKING:
    import torch

__version__ = "0.1.0"

MOST_THREADS = max(16, 4 * (os.cpu_count() or 1))
"""Beyond it they only wait for each other."""
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
LARGEST = 32 << 20
"""Bytes of the largest array whose memory is kept: the most that glibc takes for M_MMAP_THRESHOLD."""
KEPT = 512 << 20
"""Bytes that may lie free at the end of each of glibc's pools of memory."""
_GROUPS = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Of control groups without and with controllers' names, versions 2 and 1: folder; limit, usage; files read in it."""
_open: list[object] = []
"""Contexts of `cpu_threads`, in the order in which they were opened …"""
_before: list[int] = []
"""… and the threads that there were before each."""


def resolve_device(device: str) -> torch.device:
    """The device of a name: cpu, cuda, cuda:1 …; "auto" is cuda if there is one.

    Raises:
        ConfigError: no such device on this machine.
    """
    import torch

    kind, index = split_device(device)
    if kind == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cuda" and index >= torch.cuda.device_count():
        raise ConfigError(
            f"device {device}, but torch sees {torch.cuda.device_count() or 'no'} CUDA GPU here",
            expected="an NVIDIA GPU, its driver, and a CUDA build of torch",
            do="use --device cpu, or run `tdseg doctor` to see what is missing",
        )
    return torch.device(device)


def split_device(device: str) -> tuple[Literal["auto", "cpu", "cuda"], int]:
    """Kind and number of the device of a name, whether it is there or not.

    Raises:
        ConfigError: no name of a device.
    """
    match = re.fullmatch(r"(auto|cpu)|(cuda)(?::(\d+))?", device)
    if not match:
        raise ConfigError(f"device {device!r}", expected="auto, cpu, cuda or cuda:N", do="choose one of them")
    return match[1] or match[2], int(match[3] or 0)  # type: ignore[return-value]


@contextmanager
def cpu_threads(threads: int | None) -> Iterator[int]:
    """Let torch use so many threads of the CPU, None: its own choice; afterwards as many as before.

    The number is that of the process, yet contexts may end in any order, as those of generators do: the last that is
    open decides, and after all of them it is what it was before the first.

    Raises:
        ConfigError: see `check_threads`.
    """
    import torch

    check_threads(threads)
    this, before = object(), torch.get_num_threads()
    _open.append(this)
    _before.append(before)
    torch.set_num_threads(threads or before)
    try:
        yield threads or before
    finally:
        index = _open.index(this)
        _open.remove(this)
        if index == len(_open):
            torch.set_num_threads(_before.pop())
        else:  # the one opened after it will set what this one found
            del _before[index + 1]


def check_threads(threads: int | None) -> None:
    """Refuse numbers of threads beyond all use: libraries end the process where the system gives no more.

    Raises:
        ConfigError: fewer than one, or over MOST_THREADS.
    """
    if threads is not None and not 1 <= threads <= MOST_THREADS:
        raise ConfigError(
            f"threads {threads}", expected=f"1 or more, up to {MOST_THREADS}", do="leave --threads out to use all cores"
        )


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed arrays for the next ones, instead of giving it back to the system.

    Else glibc hands the pages of an array of a picture's size back and asks for them anew at every frame, and each new
    page is a fault and is cleared first: a tenth of the time of a network in torch, for some percent of peak memory.

    Returns:
        Whether the C library can be asked: glibc's.
    """
    return _mallopt(_M_MMAP_THRESHOLD, LARGEST) and _mallopt(_M_TRIM_THRESHOLD, KEPT)


def share_freed_memory() -> bool:
    """Let the threads of this process share two of glibc's pools of memory.

    Else each new thread may have one of its own, up to eight for each core; where threads come and go, as with sources
    that are opened and closed, each pool grows to what the largest of its threads ever took.

    Returns:
        Whether the C library can be asked: glibc's.
    """
    return _mallopt(_M_ARENA_MAX, 2)


def _mallopt(parameter: int, value: int) -> bool:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform.startswith("linux") else None
    return mallopt is not None and bool(mallopt(parameter, value))  # musl has none


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes of main memory that this process may still take: of the machine's, and of its control groups' limits.

    Args:
        root: of the file system, in which Linux tells them.

    Returns:
        None where the system does not tell them, as outside of Linux.
    """
    rooms = [*_machine_room(root / "proc/meminfo"), *_group_rooms(root / "proc/self/cgroup", root / "sys/fs/cgroup")]
    return max(0, min(rooms)) if rooms else None


def _machine_room(meminfo: Path) -> Iterator[int]:
    if "MemAvailable" in (facts := _facts(meminfo)):
        yield 1024 * int(facts["MemAvailable"].split()[0])  # kB


def _group_rooms(own: Path, mount: Path) -> Iterator[int]:
    """What the control groups of this process, of version 1 or 2, leave: each limits what is inside of it."""
    for _, controllers, name in (line.split(":", 2) for line in _text(own).splitlines()):
        if controllers not in ("", "memory"):
            continue
        top, limit, usage, idle = _GROUPS[controllers]
        folder = mount / top / name.lstrip("/")
        for group in (folder, *folder.parents):
            values = [_text(group / file).strip() for file in (limit, usage)]
            if all(value.isdigit() for value in values):  # "max" is none
                dropped = int(_facts(group / "memory.stat", " ").get(idle, 0))  # files that are read, not needed
                yield int(values[0]) - int(values[1]) + dropped
            if group == mount / top:
                break


def _facts(path: Path, separator: str = ":") -> dict[str, str]:
    """What a file says in lines of name and value."""
    lines = (line.partition(separator) for line in _text(path).splitlines())
    return {name: value for name, _, value in lines}


def _text(path: Path) -> str:
    """A file's text; empty where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def require(*packages: str, extra: str = "export") -> None:
    """See that packages of an extra are there.

    Raises:
        ConfigError: one is not; the error says how to install it.
    """
    for package in packages:
        if not installed(package):
            raise missing_package(package, extra)


def missing_package(package: str | None, extra: str) -> ConfigError:
    """The error for a package of an extra that is not installed."""
    return ConfigError(
        f"{package} is not installed",
        expected=f"the packages of the extra {extra!r}",
        do=f"pip install -e '.[{extra}]' in the folder of tdseg",
    )


def machine() -> dict[str, str | int | None]:
    """What figures are taken on: processor, cores, threads of the network on the CPU, gpu, torch, system."""
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "system": platform.platform(),
    }


def _processor() -> str:
    """Its name; Python alone knows on Linux only the instruction set."""
    lines = _text(Path("/proc/cpuinfo")).splitlines()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())
