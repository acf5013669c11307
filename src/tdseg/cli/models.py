"""`tdseg models` and `tdseg convert`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import say, show
from tdseg.cli.verb import Call, verb
from tdseg.config import ModelConfig
from tdseg.zoo import official
from tdseg.zoo.catalog import PACKAGED, list_models, model_config


def models() -> None:
    """Print a table of architectures and packaged weights."""
    rows = []
    for name in list_models():
        entry = PACKAGED.get(name)
        facts = (entry.miou, entry.data, entry.licence) if entry else ("untrained", "", "")
        rows.append((name, str(model_config(entry.architecture if entry else name).paths), *facts))
    show("name", "paths", "mIoU", "data", "licence", rows=rows)


@verb(official.convert)
def convert(run: Call[ModelConfig]) -> None:
    """Print what was written."""
    config = run()
    stride = f", memory stride {config.memory_stride}" if config.paths > 1 else ""
    say(f"{escape(run.arguments['target'])}: {config.name}, {config.num_classes} classes{stride}")
