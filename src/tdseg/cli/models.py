"""`tdseg models`."""

from __future__ import annotations

from rich.table import Table

from tdseg.cli.terminal import out
from tdseg.zoo.catalog import PACKAGED, list_models, model_config


def models() -> None:
    """Print a table of architectures and packaged weights."""
    table = Table("name", "paths", "mIoU", "data", "licence", box=None)
    for name in list_models():
        entry = PACKAGED.get(name)
        facts = (entry.miou, entry.data, entry.licence) if entry else ("untrained", "", "")
        table.add_row(name, str(model_config(entry.architecture if entry else name).paths), *facts)
    out.print(table)
