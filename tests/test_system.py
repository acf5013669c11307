from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tdseg.errors import ConfigError
from tdseg.system import cpu_threads, free_memory, resolve_device


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto") == torch.device("cpu")
    with pytest.raises(ConfigError, match="no CUDA"):
        resolve_device("cuda")
    with pytest.raises(ConfigError, match="expected: auto, cpu, cuda or cuda:N"):
        resolve_device("tpu")


def test_tests_compute_on_one_thread() -> None:
    """As conftest.py tells torch before it is imported: tests run side by side."""
    assert torch.get_num_threads() == 1


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


GIB = 1 << 30


def write_tree(root: Path, files: dict[str, object]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{text}\n")
    return root


def test_free_memory_is_that_of_the_tightest_limit(tmp_path: Path) -> None:
    """Of the machine, of control groups of either version, of one of those around; unknown where nothing is told."""
    assert free_memory(tmp_path) is None
    machine = "MemTotal: 16777216 kB\nMemFree: 1048576 kB\nMemAvailable: 8388608 kB"
    assert free_memory(write_tree(tmp_path, {"proc/meminfo": machine})) == 8 * GIB
    group = "sys/fs/cgroup/user/run"
    limits: dict[str, object] = {
        f"{group}/memory.max": "max",
        "proc/self/cgroup": "0::/user/run",
        f"{group}/memory.current": GIB,
    }
    assert free_memory(write_tree(tmp_path, limits)) == 8 * GIB
    above: dict[str, object] = {"sys/fs/cgroup/user/memory.max": 4 * GIB, "sys/fs/cgroup/user/memory.current": 3 * GIB}
    idle = {"sys/fs/cgroup/user/memory.stat": f"anon 5\ninactive_file {GIB}"}
    assert free_memory(write_tree(tmp_path, above | idle)) == 2 * GIB
    old = "sys/fs/cgroup/memory"  # in a container, where the group's own name leads nowhere
    first: dict[str, object] = {f"{old}/memory.limit_in_bytes": 2 * GIB, f"{old}/memory.usage_in_bytes": GIB}
    named = {"proc/self/cgroup": "4:memory:/docker/0123\n1:name=systemd:/docker\n0::/"}
    assert free_memory(write_tree(tmp_path, first | named)) == GIB


def test_free_memory_of_this_machine() -> None:
    free = free_memory()
    assert free is None or 0 < free < 1 << 50
