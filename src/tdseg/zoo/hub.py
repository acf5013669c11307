"""Repositories of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from tdseg.errors import WeightsError, first_line
from tdseg.system import require

HUB = "hf://"
"""How addresses begin: hf://org/name, or hf://org/name@revision."""
_LEFT = ["*/*", "training_args.bin", "optimizer.bin", "scheduler.bin"]
"""What repositories hold beside: other forms of the model, in folders, and the state of its training."""
_FILES = ["*.safetensors", "*.json", "*.txt", "*.onnx", "*.yaml", "*.xml", "*.bin"]


def parse_address(address: str) -> tuple[str, str | None]:
    """The repository, "org/name", and the revision of an address; None: the newest."""
    repository, _, revision = address.removeprefix(HUB).partition("@")
    return repository, revision or None


def fetch(address: str) -> Path:
    """The folder of a repository, downloaded if it is not here yet.

    Args:
        address: hf://org/name, or hf://org/name@revision.

    Raises:
        ConfigError: huggingface_hub is not installed.
        WeightsError: there is no such repository or revision, or it cannot be reached.
    """
    require("huggingface_hub", extra="hub")
    from huggingface_hub import snapshot_download

    repository, revision = parse_address(address)
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=_FILES, ignore_patterns=_LEFT))
    except (OSError, ValueError) as error:  # all of the hub's errors are one of these
        raise WeightsError(
            f"{address}: {first_line(error)}",
            expected="hf://org/name or hf://org/name@revision, and a connection to the hub",
            do="check the name, or download the files and give their folder",
        ) from None
