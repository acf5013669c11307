from __future__ import annotations

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
