"""Tests of the server need the extra `serve`, and httpx of `dev`; without them, those of sessions alone are run."""

from __future__ import annotations

from tdseg.system import installed

if not all(map(installed, ("starlette", "uvicorn", "websockets", "httpx"))):
    collect_ignore = [
        *("test_access.py", "test_allowed.py", "test_channel.py", "test_clients.py", "test_keeping.py", "test_page.py"),
        *("test_routes.py", "test_serve_command.py", "test_uploads.py"),
    ]
