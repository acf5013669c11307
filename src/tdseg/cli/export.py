"""`tdseg export`."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape

from tdseg import export as module
from tdseg.cli.terminal import Quiet, say
from tdseg.cli.verb import Call, verb
from tdseg.data.source import Source
from tdseg.errors import ConfigError
from tdseg.runtime.manifest import Manifest


@verb(module.export, hide=["precision"])
def export(
    run: Call[Manifest],
    *,
    fp16: Annotated[bool, Parameter(help="Halve the weights.", negative="")] = False,
    int8: Annotated[bool, Parameter(help="Quantise, for speed on CPUs.", negative="")] = False,
    data: Annotated[str | None, Parameter(help="Kind of data set that --calibrate is the root of.")] = None,
    split: Annotated[str, Parameter(help="Part of the data set.")] = "val",
    quiet: Quiet = False,
) -> None:
    """Print how well the graph agrees with the model."""
    if fp16 and int8:
        raise ConfigError("--fp16 and --int8", expected="one of them, or none for fp32", do="leave one of them out")
    source = run.arguments["calibrate"]
    if data:
        source = Source.parse({"data": data, "root": source, "split": split}, where="tdseg export")
    manifest = run(precision="int8" if int8 else "fp16" if fp16 else "fp32", calibrate=source)
    if quiet or manifest.parity is None:
        return
    parity = manifest.parity
    lost = "" if parity.miou_drop is None else f", {parity.miou_drop:.2f} points of mIoU lost"
    agree = f"{parity.agreement:.3%} of pixels agree over {parity.frames} frames of {escape(parity.source)}"
    say(f"{escape(run.arguments['output'])}: {manifest.precision} {manifest.target}; {agree}{lost}")
