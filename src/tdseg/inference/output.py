"""The folder of a result: what is made in it takes its place when it is whole, and what is of others stays."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tdseg.errors import OutputError
from tdseg.files.publishing import MADE, STAGING, claimed, publish
from tdseg.inference.parts import ResultParts
from tdseg.inference.summary import SUMMARY, Summary, read_summary
from tdseg.inference.writers import WRITERS, About, writers_of

ORDER = "order.json"


class OutputFolder:
    """A folder for one run: a result is made in a hidden folder inside it, first its parts and of these its files.

    These take their names when all are whole, and until then a former result stays as it is. Of that only those files
    go that its summary tells of, and no link is followed out of the folder.

    A context manager, which claims the folder. After a run that failed what had been made stays in the hidden folder,
    which the error names; where nothing had been made, nothing is left.

    Args:
        path: made if missing.
        order: what the run is to make.
        overwrite: replace a former result in the folder, and what is left of an interrupted run.
        resume: go on with what is left of an interrupted run of the same order.
        run: go on with what is left of the run of this name.

    Attributes:
        staging: the hidden folder.
        parts: of the result.
        finished: the summary of a whole result of the order, if that is here already, and `resume`.

    Raises:
        OutputError: the folder is in use, holds what only looks like a result, is no folder, or cannot be written
            (when it is entered).
    """

    def __init__(
        self,
        path: Path,
        order: dict[str, Any],
        *,
        overwrite: bool = False,
        resume: bool = False,
        run: str | None = None,
    ) -> None:
        self.path, self.staging, self.parts = path, path / STAGING, ResultParts(path)
        self.finished: dict[str, Any] | None = None
        self._order = json.loads(json.dumps(order))
        self._overwrite, self._resume, self._run = overwrite, resume, run

    def __enter__(self) -> OutputFolder:
        try:
            if self.path.exists() and not self._overwrite and not self._resume and not self.staging.exists():
                self._check_free(read_summary(self.path), None)
            with ExitStack() as stack:
                stack.enter_context(claimed(self.path))
                stack.callback(self._clear_up)
                self._begin()
                self._stack = stack.pop_all()
        except OSError as error:
            raise self.parts.unwritable(error) from error
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stack.close()

    def _begin(self) -> None:
        """See what is here, and whether the run may work with it."""
        former, (run, unfinished) = read_summary(self.path), self._unfinished()
        repeats = self._resume and former.get("order") == self._order
        if repeats and former.get("complete") and set(former) == {field.name for field in dataclasses.fields(Summary)}:
            self.finished = former
            self._clear_up(everything=True)
        elif unfinished == self._order and (self._resume or (run and run == self._run)):
            self.parts.clear(keep=[part for part in self.parts.read().values() if part.record.is_full])
        else:
            if not self._overwrite and not repeats:
                self._check_free(former, unfinished)
            self._check_ours()
            self._clear_up(everything=True)
            text = json.dumps({"run": self._run, "order": self._order})
            (self.staging / ORDER).write_text(text, encoding="utf-8")

    def _unfinished(self) -> tuple[str | None, dict[str, Any] | None]:
        """The name and the order of an interrupted run, if it left something."""
        try:
            fields = json.loads((self.staging / ORDER).read_bytes())
            run, order = fields["run"], fields["order"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None, None
        return (run, order) if isinstance(order, dict) and self.parts.holds_files() else (None, None)

    def _check_free(self, former: dict[str, Any], unfinished: dict[str, Any] | None) -> None:
        """Refuse what is not to be replaced."""
        other = unfinished or former.get("order")
        if self._resume and other:
            keys = [key for key in self._order if self._order[key] != other.get(key)]
            differing = "; ".join(f"{key} {other.get(key)!r}, now {self._order[key]!r}" for key in keys)
            raise OutputError(
                f"output folder {self.path} is of another run: {differing}",
                expected="the order of the run that is to go on",
                do="give the same options, choose another folder with --output, or begin anew with --overwrite",
            )
        if unfinished:
            frames = sum(part.record.frames for part in self.parts.read().values())
            raise OutputError(
                f"output folder {self.path} holds an interrupted run of {frames} frames",
                expected="a new or an empty folder",
                do="go on with it by --resume, drop it by --overwrite, or choose another with --output",
            )
        if any(path.name != STAGING for path in self.path.iterdir()):
            raise OutputError(
                f"output folder {self.path} is in use",
                expected="a new or an empty folder",
                do="choose another with --output, or replace the result in it with --overwrite",
            )

    def _check_ours(self) -> None:
        """Refuse what only looks like a former result, and links out of the folder."""
        held = places(self.path)
        told = [self.path / SUMMARY] if os.path.lexists(self.path / SUMMARY) else []
        if (held or told) and not read_summary(self.path):
            raise OutputError(
                f"output folder {self.path} holds {' and '.join(place.name for place in told + held)}, "
                f"but no {SUMMARY} of a tdseg result",
                expected="a new or an empty folder, or a former result",
                do="choose another with --output",
            )
        if links := [place for place in held if place.is_symlink()]:
            raise OutputError(
                f"{links[0]} is a link", expected="files of a former result", do="choose another folder with --output"
            )

    @property
    def holds_whole(self) -> bool:
        """Whether a former result in it is complete."""
        return bool(read_summary(self.path).get("complete"))

    def publish(self, summary: Summary, about: About) -> Summary:
        """Make the files of the result of its parts, and put them in the place of the former one.

        Args:
            summary: of the run.
            about: what its outputs are told of it.

        Returns:
            The summary, with the order, and what is missing of the outputs.

        Raises:
            OutputError: it cannot be written; or the former result is whole, and this one is not.
        """
        try:
            if self.holds_whole and not summary.complete:
                raise OutputError(
                    f"an incomplete result of {summary.frames} frames in the place of a whole one",
                    expected="a whole result: " + (summary.problem or "the run was interrupted"),
                    do=f"choose another folder with --output; the former result is still in {self.path}",
                )
            made = self.staging / MADE
            made.mkdir(exist_ok=True)
            parts = [part for part in self.parts.in_order() if part.record.frames]
            lacking = [writer.join(about, parts, made) for writer in writers_of(summary.write)]
            problems = [*filter(None, (summary.problem, *(part.record.lacking for part in parts), *lacking))]
            problem = "; ".join(dict.fromkeys(problems)) or None
            summary = dataclasses.replace(summary, problem=problem, order=self._order)
            text = json.dumps(dataclasses.asdict(summary), indent=2)
            (made / SUMMARY).write_text(text + "\n", encoding="utf-8")
            publish(self.staging, self.path, list(_results(self.path, read_summary(self.path))), Path(SUMMARY))
        except OSError as error:
            raise self.parts.unwritable(error) from error
        return summary

    def _clear_up(self, *, everything: bool = False) -> None:
        """Remove what is of no use; of what is not finished nothing, if not everything."""
        if self.staging.is_dir() and (everything or not self.parts.holds_files()):
            for path in self.staging.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name == ORDER:
                    path.unlink()


def places(folder: Path) -> list[Path]:
    """The files and folders in a folder that a result may have put there, but for its summary."""
    names = sorted({writer.pattern.partition("/")[0] for writer in writers_of(tuple(WRITERS))})
    return [place for name in names for place in folder.glob(name)]


def _results(folder: Path, summary: dict[str, Any]) -> Iterator[Path]:
    """The files of a result that are there, as its summary has them, relative to its folder."""
    if not summary:
        return
    yield Path(SUMMARY)
    listed, written = summary.get("names"), summary.get("write")
    names = {name for name in listed if isinstance(name, str)} if isinstance(listed, list) else set()
    names_of_outputs = [name for name in written if isinstance(name, str)] if isinstance(written, list) else WRITERS
    known = [name for name in names_of_outputs if name in WRITERS]
    for writer in writers_of(known):
        for file in folder.glob(writer.pattern):
            numbered = file.stem.isdecimal() and int(file.stem) < summary["frames"]
            if "*" not in writer.pattern or file.stem in names or (numbered and not names):
                yield file.relative_to(folder)
