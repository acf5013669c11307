"""The C library's memory: what a program that makes the same large arrays for every frame should ask of it."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST = 32 << 20
"""Bytes of the largest array whose memory is kept: the most that glibc takes for M_MMAP_THRESHOLD."""
KEPT = 512 << 20
"""Bytes that may lie free at the end of each of glibc's pools of memory."""


def keep_freed_memory() -> bool:
    """Let this process keep the memory of freed arrays for the next ones, instead of giving it back to the system.

    Else glibc hands the pages of an array of a picture's size back and asks for them anew at every frame, and each new
    page is a fault and is cleared first: a tenth of the time of a network in torch, for some percent of peak memory.

    Returns:
        Whether the C library can be asked: glibc's.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    return mallopt is not None and bool(mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, KEPT))
