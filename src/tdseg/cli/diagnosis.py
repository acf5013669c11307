"""What this installation has, what it lacks, and the line that puts it right."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple


class Finding(NamedTuple):
    """One line of the report."""

    what: str
    state: str
    fix: str = ""
    """What to do; empty where nothing is missing."""
    needed: bool = False
    """tdseg does not work without the fix."""


def diagnose() -> list[Finding]:
    """Versions, devices, video, packaged weights, and optional extras.

    What a section needs is imported inside it, and its failure is a finding: this report is for broken installations.
    """
    sections: dict[str, Callable[[], list[Finding]]] = {
        "versions": _versions,
        "devices": _devices,
        "video": _video,
        "weights": _weights,
        "extras": _extras,
    }
    findings = []
    for name, section in sections.items():
        try:
            findings += section()
        except Exception as error:
            broken = f"{type(error).__name__}: {error}"
            findings.append(Finding(name, broken, "pip install --force-reinstall tdseg", needed=True))
    return findings


def _versions() -> list[Finding]:
    packages = ("tdseg", "torch", "av", "numpy", "pillow")
    python = Finding("python", f"{platform.python_version()} on {platform.platform()}")
    return [python, *(Finding(name, metadata.version(name)) for name in packages)]


def _devices() -> list[Finding]:
    import torch

    from tdseg.zoo.load import fastest

    runtime = fastest("auto")
    faster = (
        "for a faster one: pip install 'tdseg[openvino]'"
        if runtime == "torch" and not torch.cuda.is_available()
        else ""
    )
    cpu = Finding("cpu", f"{torch.get_num_threads()} threads; --runtime auto is {runtime}", faster)
    if torch.cuda.is_available():
        return [cpu, *(Finding(f"cuda:{i}", torch.cuda.get_device_name(i)) for i in range(torch.cuda.device_count()))]
    if torch.version.cuda is None:
        return [cpu, Finding("cuda", "this torch is a CPU build", "for a GPU: pip install --force-reinstall torch")]
    return [cpu, Finding("cuda", "no GPU or driver found", "for a GPU: install the NVIDIA driver")]


def _video() -> list[Finding]:
    import av

    if "libx264" in av.codecs_available:
        return [Finding("H.264 encoder", "libx264")]
    return [Finding("H.264 encoder", "missing: overlays become MPEG-4", "pip install --force-reinstall av")]


def _weights() -> list[Finding]:
    from tdseg.zoo import catalog

    return [_check_weights(name) for name in catalog.PACKAGED]


def _check_weights(name: str) -> Finding:
    from tdseg.errors import TdsegError
    from tdseg.runtime.manifest import read_manifest
    from tdseg.zoo import catalog
    from tdseg.zoo.load import load

    try:
        load(name)
        if graph := catalog.PACKAGED[name].graph:
            read_manifest(graph)
    except TdsegError as error:
        return Finding(f"weights {name}", error.got, "pip install --force-reinstall --no-deps tdseg", needed=True)
    return Finding(f"weights {name}", f"whole; mIoU {catalog.PACKAGED[name].miou}")


def _extras() -> list[Finding]:
    """Read from the package's own metadata, so that it is never out of date."""
    missing: dict[str, list[str]] = {}
    for requirement in metadata.requires("tdseg") or ():
        if match := re.match(r"([\w.-]+).*extra == ['\"](\w+)['\"]", requirement):
            name, extra = match.groups()
            missing.setdefault(extra, [])
            if not _installed(name):
                missing[extra].append(name)
    return [
        Finding(f"extra {extra}", f"missing {', '.join(names)}", f"pip install 'tdseg[{extra}]'")
        if names
        else Finding(f"extra {extra}", "installed")
        for extra, names in missing.items()
    ]


def _installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
