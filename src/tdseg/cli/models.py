"""`tdseg models`."""

from __future__ import annotations

from rich.table import Table

from tdseg.cli.terminal import DONE, out


def models() -> int:
    """List architectures and packaged weights."""
    from tdseg.zoo.catalog import PACKAGED, list_models, model_config

    table = Table("name", "paths", "mIoU", "data", "licence", box=None)
    for name in list_models():
        entry = PACKAGED.get(name)
        if entry:
            table.add_row(name, str(model_config(entry.architecture).paths), entry.miou, entry.data, entry.licence)
        else:
            table.add_row(name, str(model_config(name).paths), "untrained", "", "")
    out.print(table)
    return DONE
