from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from tdseg.errors import ConfigError
from tdseg.system import cpu_threads, resolve_device


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="no CUDA"):
        resolve_device("cuda")
    with pytest.raises(ConfigError, match="expected: auto, cpu, cuda or cuda:N"):
        resolve_device("tpu")


def test_threads() -> None:
    before = torch.get_num_threads()
    with cpu_threads(before + 1) as threads:
        assert threads == torch.get_num_threads() == before + 1
    with cpu_threads(None) as threads:
        assert threads == before
    assert torch.get_num_threads() == before
    with pytest.raises(ConfigError, match="1 or more"), cpu_threads(0):
        pass


def test_threads_of_contexts_that_end_out_of_order() -> None:
    before = torch.get_num_threads()
    contexts = [cpu_threads(before + extra) for extra in (1, 2, 3)]
    for context in contexts:
        context.__enter__()
    for context, left in ((contexts[0], 3), (contexts[2], 2), (contexts[1], 0)):
        context.__exit__(None, None, None)
        assert torch.get_num_threads() == before + left


FAULTS = """
import resource, sys
import numpy as np
from tdseg.system import keep_freed_memory
if sys.argv[1] == "keep" and not keep_freed_memory():
    sys.exit(3)
def frame():
    arrays = [np.ones(size, np.uint8) for size in (500_000, 2_000_000, 700_000)]
for _ in range(3):
    frame()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    frame()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 20)
"""


def test_memory_of_freed_arrays_is_kept() -> None:
    """In a process of its own, for it concerns all of a process."""
    done = subprocess.run([sys.executable, "-c", FAULTS, "keep"], capture_output=True, text=True)
    if done.returncode == 3:
        pytest.skip("the C library is not glibc")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 10  # 780 pages are written for each
