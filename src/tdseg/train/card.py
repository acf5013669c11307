"""The card of a run: what the weights are, how they came about, and what they can do."""

from __future__ import annotations

import hashlib
import os
import subprocess
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import torch
import yaml

from tdseg.data.source import Source, open_source
from tdseg.files import write_whole
from tdseg.measure.evidence import Example
from tdseg.metrics.figures import FIGURES, shown
from tdseg.models.tdnet import TDNet
from tdseg.system import __version__, machine
from tdseg.train.recipe import Recipe
from tdseg.train.watch import CARD, Run, Step, Watcher


class Card(Watcher):
    """Writes card.md beside the weights when they are whole.

    Args:
        command: the line that makes this run from nothing.
    """

    def __init__(self, command: str) -> None:
        self.command = command

    def start(self, run: Run) -> None:
        """Note what is trained, on how much."""
        self._run, self._seconds = run, 0.0
        self._data = describe_data(run.recipe)
        self._figures: tuple[int, dict[str, Any]] | None = None

    def step(self, step: Step) -> None:
        """Add up the time."""
        self._seconds += step.seconds

    def evaluated(self, number: int, figures: dict[str, Any], examples: list[Example]) -> None:
        """Keep the newest figures."""
        self._figures = number, figures

    def describe(self, model: TDNet, weights: Path) -> None:
        """Write the card.

        Raises:
            OutputError: it cannot be written.
        """
        write_whole(weights.with_name(CARD), self._text(model, weights))

    def _text(self, model: TDNet, weights: Path) -> str:
        recipe, config = self._run.recipe, model.config
        classes = f": {', '.join(config.classes)}" if config.classes else ""
        rows = {
            "architecture": _architecture(model),
            "file": _file(weights),
            "licence": "yours to state: it depends on the licences of the data and of the initial weights",
            "data": self._data,
            **_memory(recipe, config.paths),
            "recipe": f"below; `{self.command}`",
            "hardware, time": f"{_hardware()}; {self._time()}",
            "code": f"tdseg {code_version()}, torch {torch.__version__}; {date.today().isoformat()}",
        }
        table = "\n".join(f"| {key} | {_cell(value)} |" for key, value in rows.items())
        values = recipe.model_dump(mode="json", exclude_unset=True)
        return f"""# {weights.absolute().parent.name}

Segmentation in {config.num_classes} classes by `{recipe.model}`{classes}.

| | |
|---|---|
{table}

## Figures

{self._figures_text()}

## Recipe

What it leaves out has the defaults of tdseg {__version__}.

```yaml
{yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120).strip()}
```
"""

    def _time(self) -> str:
        since = f", of which {self._run.start} in former processes whose time is not counted" if self._run.start else ""
        return f"{timedelta(seconds=round(self._seconds))} for {self._run.recipe.steps} steps{since}"

    def _figures_text(self) -> str:
        if self._figures is None:
            return "Not evaluated: the recipe names no `validation`."
        number, figures = self._figures
        rows = [(key, name, _listed(figures.get(key))) for key, (name, _, _) in FIGURES.items()]
        lines = [f"| {name} | {', '.join(shown(key, item) for item in items)} |" for key, name, items in rows if items]
        iou = {name: "–" if value is None else f"{value:.1f}" for name, value in figures["iou"].items()}
        return "\n".join(
            [
                f"Averaged weights at step {number}, {figures['frames']} frames; {figures['protocol']}.",
                "",
                "| figure | |",
                "|---|---|",
                *lines,
                "",
                f"| IoU | {' | '.join(map(_cell, iou))} |",
                f"|---|{'---|' * len(iou)}",
                f"| {figures['frames']} frames | {' | '.join(iou.values())} |",
            ]
        )


def describe_data(recipe: Recipe) -> str:
    """Every source with its size, then what is evaluated on."""
    total = sum(source.weight for source in recipe.sources)
    parts = [f"{_source(source)}, {source.weight / total:.0%} of the batches" for source in recipe.sources]
    if recipe.validation:
        parts.append(f"evaluated on {_source(recipe.validation)}")
    return "; ".join(parts)


def code_version() -> str:
    """Version of tdseg, with the commit where it runs from a checkout."""
    package = Path(__file__).parents[1]
    try:
        git = ["git", "-C", str(package)]
        subprocess.run([*git, "ls-files", "--error-unmatch", "__init__.py"], check=True, capture_output=True)
        describe = [*git, "describe", "--always", "--dirty", "--exclude=*"]
        commit = subprocess.run(describe, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return __version__
    return f"{__version__} ({commit})"


def _source(source: Source) -> str:
    kind = "stills" if source.length == 1 else f"clips of {source.length}"
    place = f" in `{source.root}`" if source.root else ""
    return f"{source.data} {source.split}{place} ({len(open_source(source)):,} {kind})"


def _architecture(model: TDNet) -> str:
    config = model.config
    kept = (parameter for name, parameter in model.named_parameters() if ".aux_head." not in name)
    parameters = sum(parameter.numel() for parameter in kept) / 1e6
    memory = f", memory stride {config.memory_stride}, norm {config.norm}" if config.paths > 1 else ""
    return f"`{config.name}`{memory}, {parameters:.2f} M parameters, input {config.size[1]}×{config.size[0]}"


def _memory(recipe: Recipe, m: int) -> dict[str, str]:
    """Which share of the scored frames has the m-1 frames before it that the whole memory is of; {} where all have."""
    scored = recipe.length if recipe.score == "all" else 1
    whole = max(0, min(scored, recipe.length - (m - 1)))
    if whole == scored:
        return {}
    share = f"{whole / scored:.0%} of the scored frames, {whole} of {scored} in a clip"
    return {"memory": f"whole, of the {m - 1} frames before, for {share}"}


def _file(weights: Path) -> str:
    data = weights.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return f"`{weights.name}`, configuration inside, {len(data) / 1e6:.1f} MB, sha256 `{digest}`"


def _hardware() -> str:
    facts = machine()
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    where = f"{facts['gpu']}, " if facts["gpu"] else ""
    return f"{where}{facts['processor']} ({facts['cores']} cores)" + (f", {processes} processes" * (processes > 1))


def _listed(value: Any) -> list[Any]:
    """The numbers of a figure; none of a list with one, which says what the figure of the whole says."""
    values = value if isinstance(value, list) else [value, None]
    return [item for item in values if item is not None] if len(values) > 1 else []


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
