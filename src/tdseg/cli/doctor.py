"""`tdseg doctor`: what this installation has, what it lacks, and the line that puts it right.

What a section needs is imported inside it, and its failure is a finding: the report is for broken installations.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import metadata
from typing import NamedTuple

from tdseg.cli.terminal import DONE, IN_PART, show
from tdseg.errors import TdsegError

REINSTALL = "pip install --force-reinstall"


class Finding(NamedTuple):
    """One line of the report."""

    what: str
    state: str
    fix: str = ""
    """What to do; empty where nothing is missing."""
    needed: bool = False
    """tdseg does not work without the fix."""


def doctor() -> int:
    """Print what each section finds."""
    findings: list[Finding] = []
    for section in (_versions, _devices, _video, _weights, _extras):
        try:
            findings += section()
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"
            findings.append(Finding(section.__name__.strip("_"), broken, f"{REINSTALL} tdseg", needed=True))
    show("what", "state", "to do", rows=(finding[:3] for finding in findings))
    return IN_PART if any(finding.needed for finding in findings) else DONE


def _versions() -> Iterator[Finding]:
    yield Finding("python", f"{platform.python_version()} on {platform.platform()}")
    for name in ("tdseg", "torch", "av", "numpy", "pillow"):
        yield Finding(name, metadata.version(name))


def _devices() -> Iterator[Finding]:
    import torch

    from tdseg.zoo.load import fastest

    runtime, gpu = fastest("auto"), torch.cuda.is_available()
    faster = "for a faster one: pip install -e '.[openvino]'" if runtime == "torch" and not gpu else ""
    yield Finding("cpu", f"{torch.get_num_threads()} threads; --runtime auto is {runtime}", faster)
    if gpu:
        for index in range(torch.cuda.device_count()):
            yield Finding(f"cuda:{index}", torch.cuda.get_device_name(index))
    elif torch.version.cuda is None:
        yield Finding("cuda", "this torch is a CPU build", f"for a GPU: {REINSTALL} torch")
    else:
        yield Finding("cuda", "no GPU or driver found", "for a GPU: install the NVIDIA driver")


def _video() -> Iterator[Finding]:
    import av

    lacks = "libx264" not in av.codecs_available
    state = "missing: overlays become MPEG-4" if lacks else "libx264"
    yield Finding("H.264 encoder", state, f"{REINSTALL} av" if lacks else "")


def _weights() -> Iterator[Finding]:
    from tdseg.runtime.manifest import read_manifest
    from tdseg.zoo.catalog import PACKAGED
    from tdseg.zoo.load import load

    for name, entry in PACKAGED.items():
        try:
            load(name)
            if entry.graph:
                read_manifest(entry.graph)
            yield Finding(f"weights {name}", f"whole; mIoU {entry.miou}")
        except TdsegError as error:
            yield Finding(f"weights {name}", error.got, f"{REINSTALL} --no-deps tdseg", needed=True)


def _extras() -> Iterator[Finding]:
    """Read from the package's own metadata, so that it is never out of date."""
    missing: dict[str, list[str]] = {}
    for requirement in metadata.requires("tdseg") or ():
        if match := re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement):
            name, extra = match.groups()
            missing.setdefault(extra, []).extend([] if any(metadata.distributions(name=name)) else [name])
    for extra, names in missing.items():
        state = f"missing {', '.join(names)}" if names else "installed"
        yield Finding(f"extra {extra}", state, f"pip install -e '.[{extra}]'" if names else "")
