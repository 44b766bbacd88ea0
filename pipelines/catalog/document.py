"""The catalog described by its own models: the JSON schema for editors, and the tables of docs/catalog.md.

``make docs`` writes both files; a test fails when one is stale. In docs/catalog.md only what stands between two markers is
written here, the rest by hand. Not here: reading catalogs (``read``).
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipelines.catalog.models import ColumnEntry, ExpectationEntry, PartitionEntry, SourceEntry, TableEntry
from pipelines.gates.rules import RULES, Rule
from pipelines.gates.windows import MOST_RANGE, STATISTICS

SCHEMA_FILE = Path(__file__).with_name("catalog.schema.json")
DOCUMENT = Path(__file__).parents[2] / "docs" / "catalog.md"
Json = dict[str, Any]

_SCALAR: Json = {"type": ["string", "number", "boolean"]}
_COLUMN: Json = {"type": "string", "minLength": 1, "description": "a column of the table"}
_BOUND: Json = {"type": ["number", "string", "null"], "description": "inclusive, unless strict; of the column's type"}
_OFFSET: Json = {
    "type": "object",
    "minProperties": 1,
    "properties": {"negative": {"type": "number", "minimum": 0, "maximum": 1}, "positive": {"type": "number", "minimum": 0}},
    "additionalProperties": False,
}
_WINDOW: Json = {
    "type": "object",
    "required": ["constraint_fn", "range", "offset"],
    "properties": {
        "constraint_fn": {"enum": list(STATISTICS)},
        "range": {"type": "integer", "minimum": 1, "maximum": MOST_RANGE, "description": "how many earlier loads are compared"},
        "offset": _OFFSET,
        "strict": {"type": "boolean"},
        "parameter_name": {"type": "string"},
    },
    "additionalProperties": False,
}
_ARGUMENTS: dict[str, Json] = {
    "windows": {"type": "array", "items": _WINDOW, "minItems": 1, "description": "bounds that follow from earlier loads"},
    "column": _COLUMN,
    "column_A": _COLUMN,
    "column_B": _COLUMN,
    "column_list": {"type": "array", "items": _COLUMN, "minItems": 1},
    "value_set": {"type": "array", "items": _SCALAR, "minItems": 1},
    "value": {"type": "integer", "minimum": 0},
    "min_value": _BOUND,
    "max_value": _BOUND,
    "strict_min": {"type": "boolean", "description": "the bound itself fails"},
    "strict_max": {"type": "boolean", "description": "the bound itself fails"},
    "or_equal": {"type": "boolean"},
    "regex": {"type": "string"},
    "regex_list": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    "strftime_format": {"type": "string"},
    "match_on": {"enum": ["any", "all"]},
    "ignore_row_if": {"type": "string"},
}
_PARAMETER: Json = {"type": "object", "required": ["$PARAMETER"], "description": "the window that gives this bound"}
_NUMERIC_BOUND: Json = {"type": ["number", "null"], "description": "inclusive, unless strict"}


_WORDS: dict[Any, str] = {
    **{str: "text", int: "whole number", float: "number", type(None): ""},
    **{
        ColumnEntry: "settings of a column",
        PartitionEntry: "settings of the partition",
        TableEntry: "tables",
        ExpectationEntry: "expectations",
    },
}


def make_schema() -> Json:
    """Return the JSON schema of one catalog file. What only a comparison shows (a repeated name) is left to the reader."""
    schema = SourceEntry.model_json_schema(by_alias=True)
    definitions = schema["$defs"]
    definitions["ExpectationEntry"] = _expectation_schema(definitions["ExpectationEntry"])
    definitions["TableEntry"]["allOf"] = [
        _needs("incremental", ["key", "cursor"], ["partition"]),
        _needs("partitioned", ["partition"], ["cursor"]),
        _needs("snapshot", [], ["cursor", "partition"]),
    ]
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A Daybreak catalog file"}
    return {**title, **{name: value for name, value in schema.items() if name != "title"}}


def schema_text() -> str:
    """Return the JSON schema as it is committed."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


def _needs(mode: str, needed: list[str], forbidden: list[str]) -> Json:
    forbids = {"not": {"anyOf": [{"required": [name]} for name in forbidden]}}
    is_mode = {"properties": {"mode": {"const": mode}}, "required": ["mode"]}
    return {"if": is_mode, "then": {"required": needed, **forbids}}


def _expectation_schema(entry: Json) -> Json:
    settings = entry["properties"]
    return {
        "type": "object",
        "description": entry["description"],
        "properties": {**{name: _arguments_schema(rule) for name, rule in RULES.items()}, **settings},
        "required": ["on_failure"],
        "additionalProperties": False,
        "minProperties": 2,
        "oneOf": [_choice(name, rule) for name, rule in RULES.items()],
    }


def _choice(name: str, rule: Rule) -> Json:
    choice: Json = {"required": [name]}
    if rule.gate_class != "row":
        choice["properties"] = {"on_failure": {"enum": ["hold", "warn"]}}
    if not rule.takes_mostly:
        choice["not"] = {"required": ["mostly"]}
    return choice


def _arguments_schema(rule: Rule) -> Json:
    arguments = {name: _ARGUMENTS.get(name, {}) for name in rule.arguments}
    if rule.bounds not in (None, "column"):
        bound = {"anyOf": [_NUMERIC_BOUND, _PARAMETER]} if "windows" in arguments else _NUMERIC_BOUND
        arguments |= {name: bound for name in ("min_value", "max_value") if name in arguments}
    schema: Json = {"type": "object", "description": _describe(rule), "properties": arguments, "additionalProperties": False}
    if rule.bounds:
        schema["anyOf"] = [{"required": [name]} for name in ("min_value", "max_value", "windows") if name in arguments]
    return {**schema, "required": [*rule.columns, *rule.required]}


def _describe(rule: Rule) -> str:
    return "judges each row; may quarantine, hold or warn" if rule.gate_class == "row" else "judges the whole load; may hold or warn"


def render_document(text: str) -> str:
    """Return docs/catalog.md with what stands between its markers made anew. Raises KeyError for an unknown marker."""
    tables = {
        "source": _settings_table(SourceEntry),
        "table": _settings_table(TableEntry),
        "partition": _settings_table(PartitionEntry),
        "column": _settings_table(ColumnEntry),
        "expectation": _settings_table(ExpectationEntry),
        "expectations": _expectations_table(),
        "environment": _environment_table(),
    }
    marked = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}{tables[found[2]]}{found[3]}", text)


def _settings_table(model: type[BaseModel]) -> str:
    rows = [
        (f"`{field.alias or name}`", _type_of(field), _default_of(field), field.description or "")
        for name, field in model.model_fields.items()
    ]
    return _table(("setting", "type", "default", "meaning"), rows)


def _type_of(field: FieldInfo) -> str:
    told = _name_type(field.annotation)
    return f"{told} (pattern)" if any(getattr(item, "pattern", None) for item in field.metadata) else told


def _name_type(kind: Any) -> str:  # noqa: ANN401 - an annotation
    if kind in _WORDS:
        return _WORDS[kind]
    arguments = get_args(kind)
    name = getattr(kind, "__name__", "") or str(kind)
    if name == "date":
        return "day"
    if name == "tuple":
        return f"list of {_name_type(arguments[0])}"
    if name == "dict":
        return f"column name → {_name_type(arguments[1])}"
    if all(isinstance(argument, str) for argument in arguments):
        return ", ".join(f"`{argument}`" for argument in arguments)
    inner = arguments[:1] if hasattr(kind, "__metadata__") else arguments
    return " or ".join(told for told in map(_name_type, inner) if told)


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True)
    return "" if value is None or value is PydanticUndefined or value in ("", (), {}) else f"`{value}`"


def _expectations_table() -> str:
    rows = []
    for name, rule in RULES.items():
        optional = [f"{argument}?" for argument in rule.optional]
        rows.append((f"`{name}`", ", ".join([*rule.columns, *rule.required, *optional]), rule.gate_class))
    return _table(("expectation", "arguments (? = may be left out)", "judges a"), rows)


def _environment_table() -> str:
    from pipelines.settings import VARIABLES  # it reads catalogs, so it stands above this module

    rows = []
    for item in VARIABLES:
        default = (item.default or "").format(home="<home>", project="<project>")
        choices = f" ({' or '.join(f'`{choice}`' for choice in item.choices)})" if item.choices else ""
        rows.append((f"`{item.name}`", f"`{default}`" if default else "", item.meaning + choices))
    return _table(("variable", "default", "meaning"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *[tuple(cell.replace("|", "\\|") for cell in row) for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def main() -> None:
    """Write the JSON schema and the generated parts of docs/catalog.md."""
    SCHEMA_FILE.write_text(schema_text(), encoding="utf-8")
    DOCUMENT.write_text(render_document(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
