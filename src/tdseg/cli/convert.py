"""`tdseg convert`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import say
from tdseg.cli.verb import Call, verb
from tdseg.config import ModelConfig
from tdseg.zoo import official


@verb(official.convert)
def convert(run: Call[ModelConfig]) -> None:
    """Print what was written."""
    config = run()
    stride = f", memory stride {config.memory_stride}" if config.paths > 1 else ""
    say(f"{escape(run.arguments['target'])}: {config.name}, {config.num_classes} classes{stride}")
