"""Where a model runs: the device, and the threads of the CPU."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from tdseg.errors import ConfigError


def resolve_device(device: str) -> torch.device:
    """The device of a name: cpu, cuda, cuda:1 …; "auto" is cuda if there is one.

    Raises:
        ConfigError: no such device on this machine.
    """
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

    Raises:
        ConfigError: fewer than one.
    """
    if threads is not None and threads < 1:
        raise ConfigError(f"threads {threads}", expected="1 or more", do="leave --threads out to use all cores")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield threads or before
    finally:
        torch.set_num_threads(before)
