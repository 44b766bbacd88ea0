"""pydantic's errors as sentences for people who write YAML: what was found, and what to write instead."""

from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.catalog.models import ColumnEntry, ExpectationEntry, PartitionEntry, SourceEntry, TableEntry
from pipelines.catalog.problem import MISSING, Path, Problem, find_value, name_unknown
from pipelines.gates.declaration import did_you_mean

_PATTERNS = {
    "source": ("a source's name is lower-case letters, digits and _", "for example: shop"),
    "url_env": ("is the name of an environment variable, in capitals", "for example: SHOP_DATABASE_URL, which then holds the URL"),
    "owner": ("an owner is an e-mail address or team:name", "for example: data@example.com"),
}
_LISTS = {"key": "[order_id]", "tables": "- name: orders", "expectations": "- expect_…: {column: …}"}
_MAPPINGS = {"columns": "{email: {mask: hmac}}", "partition": "{column: occurred_at, start: 2026-01-31}"}


def word_problems(error: ValidationError, node: yaml.Node | None) -> list[Problem]:
    """Return the problems of one file, without those that only follow from another one."""
    details = [(tuple(step for step in item["loc"] if step != "[key]"), item) for item in error.errors(include_url=False)]
    problems = []
    for path, item in details:
        is_hollow = item["type"] == "too_short" and any(other[: len(path)] == path and other != path for other, _ in details)
        if not is_hollow:
            problems.append(_word(path, item, find_value(node, path)))
    return problems


def _settings(path: Path) -> list[str]:
    """Return the names of the settings that may stand beside the last step of ``path``."""
    names = [step for step in path[:-1] if isinstance(step, str)]
    model: type[Any] = SourceEntry
    if names[:1] == ["tables"]:
        model = {"columns": ColumnEntry, "partition": PartitionEntry, "expectations": ExpectationEntry}.get("".join(names[1:2]), TableEntry)
    return [field.alias or name for name, field in model.model_fields.items()]


def _word(path: Path, item: Mapping[str, Any], node: yaml.Node | None) -> Problem:  # noqa: PLR0911 - one per kind
    kind, name = item["type"], str(path[-1]) if path else ""
    written = node.value if isinstance(node, yaml.ScalarNode) else ""
    if kind == "missing":
        return Problem(path, MISSING, "add it")
    if kind == "extra_forbidden":
        return name_unknown(path, _settings(path))
    if item["input"] is None:
        return Problem(path, "has no value", "give one, or remove the line")
    if kind == "string_type":
        return _word_text(path, item["input"], written)
    if kind == "literal_error":
        choices = item["ctx"]["expected"].replace("'", "")
        words = choices.replace(" or ", ", ").split(", ")
        return Problem(path, f"{written or item['input']!r} is not one of {choices}{did_you_mean(written, words)}")
    if kind == "string_pattern_mismatch":
        message, remedy = _PATTERNS.get(name, (item["msg"], ""))
        return Problem(path, f"{written!r}: {message}", remedy)
    return _word_shape(path, item, written)


def _word_text(path: Path, value: object, written: str) -> Problem:
    if isinstance(value, list | dict):
        return Problem(path, "is a list or a mapping where text belongs", "write one word, in quotes if it has special characters")
    read_as = str(value).lower() if isinstance(value, bool) else f"the {_kind(value)} {value}"
    return Problem(path, f"YAML reads {written} as {read_as}", f'put it in quotes: "{written}"')


def _kind(value: object) -> str:
    return "number" if isinstance(value, int | float) else "date"


def _word_shape(path: Path, item: Mapping[str, Any], written: str) -> Problem:  # noqa: PLR0911 - one per kind
    kind, name = item["type"], str(path[-1]) if path else ""
    found = repr(written) if written else "this"
    if kind == "tuple_type":
        return Problem(path, f"{found} is not a list", f"write {_LISTS.get(name, 'it as a list')}" if name in _LISTS else "")
    if kind in ("model_type", "dict_type"):
        parent = next((step for step in reversed(path) if isinstance(step, str) and step in (*_MAPPINGS, *_LISTS)), "")
        example = {**_MAPPINGS, **_LISTS}.get(parent, "")
        return Problem(path, f"{found} is not a mapping of settings", f"write {parent}: {example}" if example else "")
    if kind.startswith("date") or kind == "not_a_day":
        return Problem(path, f"{found} is not a day", "write it as 2026-01-31")
    if kind == "not_a_limit":
        return Problem(
            path, f"{found} is neither a count of rows nor a share", "write a whole number of rows such as 100, or a share such as 0.05"
        )
    if kind in ("int_type", "int_from_float"):
        return Problem(path, f"{found} is not a whole number", "write it in digits, without quotes")
    if kind == "float_type":
        return Problem(path, f"{found} is not a number", "write it in digits, without quotes")
    if kind in ("greater_than", "greater_than_equal", "less_than", "less_than_equal"):
        return Problem(path, f"{found} is out of range: {item['msg'].removeprefix('Input should be ')}")
    if kind in ("too_short", "string_too_short"):
        return Problem(path, "is empty", f"list at least one: {_LISTS[name]}" if name in _LISTS else "give a name")
    return Problem(path, item["msg"][:1].lower() + item["msg"][1:])
