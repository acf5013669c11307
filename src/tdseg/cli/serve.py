"""`tdseg serve`."""

from __future__ import annotations

from rich.markup import escape

from tdseg.cli.terminal import Quiet, needs, say
from tdseg.cli.verb import Call, verb

with needs("serve"):
    from tdseg.live.server import Opening
    from tdseg.live.server import serve as serve_sources


@verb(serve_sources, hide={"on_start"})
def serve(run: Call[None], *, quiet: Quiet = False) -> None:
    """Print where the page is, with the token that was made for it."""

    def tell(opening: Opening) -> None:
        if opening.token:  # even where it is to be quiet: nobody gets in without it
            say(f"{escape(opening.address)}#token={opening.token}")
        elif not quiet:
            say(f"{escape(opening.address)}")

    run(on_start=tell)
