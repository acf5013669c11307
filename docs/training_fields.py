"""Writes the tables of docs/training.md: every field of a recipe, from the schema that checks it.

python docs/training_fields.py
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tdseg.data.source import Source
from tdseg.data.transforms import Augmentation
from tdseg.train.recipe import Distillation, Losses, Optimizer, Recipe

PAGE = Path(__file__).parent / "training.md"
TYPES = {
    "integer": "integer",
    "number": "number",
    "string": "text",
    "boolean": "true, false",
    "object": "mapping",
    "null": "null",
}
SCHEMAS: tuple[type[BaseModel], ...] = (Recipe, Source, Augmentation, Optimizer, Losses, Distillation)


def fill(page: str) -> str:
    """The page with the table of every schema between its marks, <!-- NAME --> and <!-- /NAME -->."""
    for schema in SCHEMAS:
        before, opened, rest = page.partition(f"<!-- {schema.__name__} -->\n")
        _, closed, after = rest.partition(f"<!-- /{schema.__name__} -->")
        if not opened or not closed:
            raise SystemExit(f"{PAGE.name} has no place for {schema.__name__}")
        page = before + opened + table(schema) + closed + after
    return page


def table(schema: type[BaseModel]) -> str:
    """A row for every field: name, values, default, meaning."""
    nodes = schema.model_json_schema()["properties"]
    lines = ["| field | values | default | |", "|---|---|---|---|"]
    for name, field in schema.model_fields.items():
        default = "" if field.is_required() else f"`{shown(field.get_default(call_default_factory=True))}`"
        cells = (f"`{name}`", values(nodes[name]), default, field.description or "")
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def values(node: dict[str, Any]) -> str:
    """What a node of a JSON schema allows, in words."""
    if "$ref" in node:
        name = node["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in node:
        return " or ".join(values(option) for option in node["anyOf"])
    if "enum" in node:
        return ", ".join(f"`{value}`" for value in node["enum"])
    if "prefixItems" in node:
        return f"[{', '.join(values(item) for item in node['prefixItems'])}]"
    if node["type"] == "array":
        return f"list of {values(node['items'])}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {node[key]:g}" for key, sign in bounds.items() if key in node]
    return " ".join([TYPES[node["type"]], ", ".join(limits)]).strip()


def shown(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, BaseModel):
        return "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(shown, value))}]"
    return {"None": "null", "True": "true", "False": "false"}.get(str(value), str(value))


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
