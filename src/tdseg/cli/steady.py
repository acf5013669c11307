"""`tdseg steady`."""

from __future__ import annotations

import dataclasses

from rich.markup import escape

from tdseg.cli.terminal import Json, Quiet, say, write_json
from tdseg.cli.verb import Call, verb
from tdseg.inference import steady as module


@verb(module.steady)
def steady(run: Call[module.Steadied], *, json: Json = None, quiet: Quiet = False) -> None:
    """Print how much changed, and how much less the masks flip."""
    result = run()
    if not quiet:
        before, after = result.flip_rate
        flips = "" if before is None or after is None else f"; flips from mask to mask {before:.2%} → {after:.2%}"
        where = escape(str(run.arguments["output"]))
        say(f"{where}: {result.masks} masks, {result.changed:.2%} of pixels changed{flips}")
    write_json(dataclasses.asdict(result), json)
