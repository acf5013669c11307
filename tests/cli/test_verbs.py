"""How verbs are made of functions."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import pytest
from cyclopts import App

from support.places import ROOT
from tdseg.cli import REFUSED, VERBS, app
from tdseg.cli.verb import Call, verb

FUNCTIONS = {
    "segment": "tdseg.inference.many:segment_all",
    "demo": "tdseg.inference.demo:demo",
    "train": "tdseg.train.loop:fit",
    "bench": "tdseg.measure.bench:bench",
    "compare": "tdseg.measure.compare:compare",
    "flicker": "tdseg.measure.flicker:flicker",
    "export": "tdseg.export:export",
    "convert": "tdseg.zoo.official:convert",
    "eval": "tdseg.measure.evaluate:evaluate_model",
    "data check": "tdseg.data.check:check",
    "serve": "tdseg.live.server:serve",
}
ADDED = {
    "segment": "json quiet",
    "demo": "quiet",
    "train": "config fields threads",
    "bench": "json report",
    "compare": "output overwrite quiet",
    "flicker": "json quiet",
    "export": "fp16 int8 data split quiet",
    "convert": "",
    "eval": "config json report quiet",
    "data check": "config json quiet",
    "serve": "quiet",
}
HIDDEN = {"train": "recipe watchers", "export": "precision", "data check": "sources", "serve": "on_start"}


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from tdseg.cli import main; main(['--help']);"
        "print([name for name in ('torch', 'av', 'numpy', 'pydantic') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert all(name in done.stdout for name in VERBS)


@pytest.fixture(params=FUNCTIONS)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if name == "train":
        pytest.importorskip("lightning", reason="training needs: pip install -e '.[train]'")
    return name


def find(name: str) -> App:
    return reduce(lambda command, part: command[part], name.split(), app)


def test_options_are_the_parameters_of_the_function(name: str) -> None:
    module, _, attribute = FUNCTIONS[name].partition(":")
    parameters = inspect.signature(getattr(import_module(module), attribute)).parameters
    hidden = {"on_progress", *HIDDEN.get(name, "").split()}
    command = find(name).default_command
    assert command is not None
    assert set(inspect.signature(command).parameters) == parameters.keys() - hidden | set(ADDED[name].split())


def test_every_option_is_explained(name: str) -> None:
    command = find(name)
    for argument in command.assemble_argument_collection(parse_docstring=True):
        assert argument.parameter.help or argument.parameter.name == ("*",), argument.name
        assert not (argument.parameter.help or "").startswith("As in"), argument.name


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        ("eval --root x", "torchmetrics", "metrics"),
        ("flicker x", "torchmetrics", "metrics"),
        ("serve", "starlette", "serve"),
        ("serve", "uvicorn", "serve"),
        (f"train {ROOT}/configs/smoke.yaml", "lightning", "train"),
    ],
)
def test_missing_extra_is_named(arguments: str, package: str, extra: str) -> None:
    code = f"import sys; sys.modules['{package}'] = None; from tdseg.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *arguments.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == REFUSED
    assert re.search(rf"{package}\S* is not installed", done.stderr)
    assert f"pip install -e '.[{extra}]'" in done.stderr


class Model:
    """What only Python can give."""


def paint(
    source: str | Path | int,
    output: str | Path,
    *,
    model: str | Path | Model = "small",
    size: tuple[int, int] | None = None,
    kind: Literal["a", "b"] | Model = "a",
    on_progress: Callable[[int, int | None], None] | None = None,
) -> dict[str, Any]:
    """Paint a picture.

    Args:
        source: what of.
        output: where to.
        model: by whom.
        size: (height, width); None: any.
        kind: which.
        on_progress: called at times.
    """
    assert on_progress is not None
    on_progress(1, 2)  # too soon for a line
    return {"source": source, "output": output, "model": model, "size": size, "kind": kind}


@pytest.fixture
def painted() -> list[object]:
    return []


@pytest.fixture
def command(painted: list[object]) -> Callable[[str], int]:
    @verb(paint)
    def present(run: Call[dict[str, Any]], *, kind: Literal["b", "c"] = "b", log: Path | None = None) -> None:
        painted.extend((run(model="changed"), kind, log))

    painter = App(result_action="return_value")
    painter.default(present)

    def run(line: str) -> int:
        code: int = painter(line.split(), exit_on_error=False, print_error=False)
        return code

    return run


def test_a_verb_is_made_of_a_function(command: Callable[[str], int], painted: list[object], tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    assert command(f"- -o there --size 72x80 --log {log}") == 0
    assert painted == [
        {"source": "-", "output": "there", "model": "changed", "size": (72, 80), "kind": "b"},
        "b",
        log,
    ]
