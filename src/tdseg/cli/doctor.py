"""`tdseg doctor`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from tdseg.cli.terminal import DONE, IN_PART, out


def doctor() -> int:
    """Show versions, devices, and what is missing with the line that installs it."""
    from tdseg.cli.diagnosis import diagnose

    findings = diagnose()
    table = Table("what", "state", "to do", box=None)
    for finding in findings:
        table.add_row(*(escape(text) for text in finding[:3]))
    out.print(table)
    return IN_PART if any(finding.needed for finding in findings) else DONE
