"""What an export is asked for, and what of that cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from tdseg.errors import ConfigError, OutputError
from tdseg.files.publishing import contents
from tdseg.models.propagation import kind_of
from tdseg.models.tdnet import TDNet
from tdseg.runtime.exported import READERS
from tdseg.runtime.external import ONNX, holds_export
from tdseg.runtime.external.onnx_description import is_written, yaml_beside
from tdseg.runtime.manifest import exported_files
from tdseg.runtime.network import Network, RuntimeName, check_size
from tdseg.system import __version__, installed, require

Target = Literal["onnx", "openvino"]
Precision = Literal["fp32", "fp16", "int8"]
AGREEMENT: dict[str, float] = {"fp32": 0.999, "fp16": 0.995, "int8": 0.985}
"""Share of pixels, at least, that must have the class that the model gives them; what the user may lower."""
PACKAGES = ("onnx", "onnxscript")
"""What every export needs."""
_WRITTEN = {".json", ".onnx", ".xml", ".bin", ".pbtxt"}
"""Suffixes of what an export leaves: a manifest that tells of others is not believed."""
OnProgress = Callable[[int, int | None], None]


class Request(NamedTuple):
    """A graph to be made; see `tdseg.export.export`."""

    target: Target
    precision: Precision
    size: tuple[int, int]
    """(height, width) of the network's input, pixels; one of many where the graph is dynamic."""
    dynamic: bool
    stateful: bool
    agreement: float


def check_request(
    network: TDNet,
    target: Target,
    size: tuple[int, int] | None,
    dynamic: bool,
    precision: Precision,
    stateful: bool,
    agreement: float | None,
) -> Request:
    """The request, with what was left open; arguments as of `tdseg.export.export`.

    Raises:
        ConfigError: an option that does not fit, or a package that is missing.
    """
    if target not in READERS:
        raise ConfigError(f"export to {target!r}", expected=" or ".join(READERS), do="choose one of them")
    if precision not in AGREEMENT:
        raise ConfigError(f"precision {precision!r}", expected=", ".join(AGREEMENT), do="choose one of them")
    if stateful and (target == "onnx" or network.config.paths == 1):
        raise ConfigError(
            f"a graph of {network.config.name} with its state inside, for {target}",
            expected="openvino, and a TDNet with a memory",
            do="leave --stateful out",
        )
    if stateful and dynamic:
        raise ConfigError(
            "a graph of any size with its state inside",
            expected="one or the other: a state that is inside starts as zeros of a known size",
            do="leave --stateful or --dynamic out",
        )
    least = _least(agreement, precision)
    kind_of(network.config).check_export(network.config)
    require(*PACKAGES, *checkers(target), *(("nncf",) if precision == "int8" else ()))
    own = network.config.size
    fitting = check_size(size or own, own, multiple_of=network.path(0).subnet.stride if dynamic else 1)
    return Request(target, precision, fitting, dynamic, stateful, least)


def check_external(
    network: Network,
    target: Target,
    size: tuple[int, int] | None,
    agreement: float | None,
    *,
    dynamic: bool,
    precision: Precision,
    stateful: bool,
) -> Request:
    """The request for a network of others; see `check_request`."""
    asked = {
        f"--to {target}": target != "onnx",
        "--dynamic": dynamic,
        f"--{precision}": precision != "fp32",
        "--stateful": stateful,
    }
    for option, given in asked.items():
        if given:
            raise ConfigError(
                f"{option} for {network.config.name}, a network of others",
                expected="an ONNX graph of one size in fp32, which ONNX Runtime and OpenVINO run",
                do=f"leave {option} out" if target == "onnx" else "use --to onnx",
            )
    if network.keeps_state:
        raise ConfigError(
            f"export of {network.config.name}, a network of others with a memory",
            expected="a per-frame network",
            do="export the network without it; --memory gives one to what was exported",
        )
    require(*PACKAGES, *checkers(target))
    return Request(target, precision, network.fit_size(size), dynamic, stateful, _least(agreement, precision))


def _least(agreement: float | None, precision: Precision) -> float:
    """Share of pixels that must agree."""
    if agreement is not None and not 0 <= agreement <= 1:
        raise ConfigError(f"agreement {agreement}", expected="0..1", do="give a share of pixels, such as 0.98")
    return AGREEMENT[precision] if agreement is None else agreement


def check_output(folder: Path, overwrite: bool) -> list[Path]:
    """Refuse a folder with anything in it but a former export, and that unless it may be replaced.

    Returns:
        The files of that, relative to the folder.

    Raises:
        OutputError: it is refused.
    """
    if not os.path.exists(folder) or (os.path.isdir(folder) and not contents(folder)):
        return []
    if not (former := _former(folder)):
        raise OutputError(
            f"{folder} holds something else than an export",
            expected="a new or an empty folder",
            do="choose another with --output",
        )
    if not overwrite:
        raise OutputError(
            f"{folder} holds a former export",
            expected="a new or an empty folder",
            do="choose another with --output, or replace it with --overwrite",
        )
    return former


def _former(folder: Path) -> list[Path]:
    """The files of a former export; none where a folder only looks like one."""
    if told := exported_files(folder):
        return [path for path in map(Path, told) if path.name == str(path) and path.suffix in _WRITTEN]
    beside = yaml_beside(Path(ONNX))
    return [Path(ONNX), beside] if holds_export(folder) and is_written(folder / beside) else []


def checkers(target: Target) -> list[RuntimeName]:
    """The runtimes that a graph is checked in: those installed that read it, or one that is to be installed."""
    readers = READERS[target]
    return list(filter(installed, readers)) or [readers[-1]]


def versions(request: Request) -> dict[str, str]:
    """Of the packages that make an export."""
    packages = ["torch", *PACKAGES, *checkers(request.target), *(["nncf"] if request.precision == "int8" else [])]
    return {"tdseg": __version__, **{name: metadata.version(name) for name in packages}}
