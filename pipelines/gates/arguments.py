"""An expectation's arguments as they are evaluated, or everything that is wrong with them.

Not here: columns that are missing or masked (``classes``), what the values become (``bounds``).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from pipelines.gates.bounds import kind_of, make_bound, make_value
from pipelines.gates.rules import Rule
from pipelines.gates.windows import read_windows

_FLAGS = ("strict_min", "strict_max", "or_equal")
# GX's own words and defaults (the first); a row of a pair with one NULL is unexpected unless it is ignored.
_PAIR_IGNORES = ("both_values_are_missing", "either_value_is_missing", "neither")
_LIST_IGNORES = ("all_values_are_missing", "any_value_is_missing", "never")


def convert_arguments(rule: Rule, arguments: Mapping[str, Any], types: Sequence[pa.DataType]) -> tuple[dict[str, Any], list[str]]:
    """Return the arguments as GX's metrics and DuckDB take them, and the problems of those that cannot be.

    ``types`` are those of the columns that the expectation names, in order. Defaults are filled in.
    """
    converted: dict[str, Any] = {name: arguments[name] for name in rule.columns}
    if rule.class_with(arguments) == "history":
        return converted, [f"`{name}`: {problem}" for name, problem in _find_window_problems(arguments)]
    problems: list[str] = []
    for name in (name for name in rule.required + rule.optional if name != "windows"):
        try:
            converted[name] = _convert(rule, name, arguments.get(name), types)
        except ValueError as problem:
            problems.append(f"`{name}`: {problem}")
    if not problems and rule.bounds:
        problems += _range_problems(converted)
    return converted, problems


def find_untyped_problems(rule: Rule, arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (argument, problem) for the values that are wrong whatever the columns' types are."""
    if rule.class_with(arguments) == "history":
        return _find_window_problems(arguments)
    problems, bounds = [], dict[str, Any](min_value=None, max_value=None)
    for name in rule.required + rule.optional:
        try:
            if name == "value_set" and name in arguments:
                _items(arguments[name])
            elif name in arguments and not (name in bounds and rule.bounds == "column"):
                bounds[name] = _convert(rule, name, arguments[name], ())
        except ValueError as problem:
            problems.append((name, str(problem)))
    if rule.bounds == "column":
        given = [arguments.get(name) for name in ("min_value", "max_value")]
        is_comparable = type(given[0]) is type(given[1]) and isinstance(given[0], int | float | date)
        bounds |= {"min_value": given[0], "max_value": given[1] if is_comparable or given[0] is None else None}
    if rule.bounds and not problems:
        problems += [("min_value", problem) for problem in _range_problems(bounds)]
    return problems


def _find_window_problems(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    problems = read_windows(arguments)[1]
    flags = [name for name in _FLAGS if not isinstance(arguments.get(name), bool | None)]
    return problems + [(name, f"{arguments[name]!r} is neither true nor false") for name in flags]


def _convert(  # noqa: PLR0911 - one per argument
    rule: Rule, name: str, value: object, types: Sequence[pa.DataType]
) -> object:
    match name:
        case "min_value" | "max_value":
            return None if value is None else make_bound(value, rule.bounds or "number", types[0] if types else None)
        case "value":
            return make_bound(value, "count", None)
        case "value_set":
            return _value_set(value, types[0])
        case "regex":
            return _regex(value)
        case "regex_list":
            return [_regex(regex) for regex in _items(value)]
        case "strftime_format":
            return _strftime_format(value)
        case "match_on":
            return _choice(value, ("any", "all"))
        case "ignore_row_if":
            return _choice(value, _LIST_IGNORES if rule.columns == ("column_list",) else _PAIR_IGNORES)
    assert name in _FLAGS, f"no rule for the argument {name}"
    if not isinstance(value, bool | None):
        raise ValueError(f"{value!r} is neither true nor false")
    return bool(value)


def _range_problems(converted: Mapping[str, Any]) -> list[str]:
    low, high = converted["min_value"], converted["max_value"]
    if low is None and high is None:
        return ["needs `min_value` or `max_value`"]
    if low is not None and high is not None and low > high:
        return [f"`min_value` {low} is above `max_value` {high}, so every row would fail"]
    return []


def _value_set(value: object, arrow_type: pa.DataType) -> list[object]:
    values: list[object] = []
    problems = []
    for item in _items(value):
        try:
            values.append(make_value(item, arrow_type))
        except ValueError as problem:
            problems.append(str(problem))
    if problems:
        raise ValueError("; ".join(problems))
    return values


def _items(value: object) -> list[object]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ValueError(f"{value!r} is not a list")
    items = list(value)
    if not items:
        raise ValueError("the list is empty, so it says nothing")
    if None in items:
        raise ValueError("null is in the list, but NULLs are not judged; write expect_column_values_to_not_be_null")
    return items


def _regex(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a regular expression in quotes")
    if "[[:" in value:
        # Python reads it as a set of the letters; RE2, which pandas asks for plain patterns, as a POSIX class.
        raise ValueError(f"{value!r} has a POSIX class; write the characters, as in [A-Za-z]")
    try:
        re.compile(value)
    except re.error as problem:
        raise ValueError(f"{value!r} is not a regular expression: {problem}") from None
    return value


def _strftime_format(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is not a strftime format in quotes")
    try:
        datetime.strptime(datetime(2026, 1, 2, 3, 4, 5).strftime(value), value)
    except ValueError as problem:
        raise ValueError(f"{value!r} is not a strftime format: {problem}") from None
    return value


def _choice(value: object, choices: Sequence[str]) -> str:
    if value is None:
        return choices[0]
    if value not in choices:
        raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
    return str(value)


def pair_problem(types: Sequence[pa.DataType]) -> str | None:
    """Say why two columns cannot be compared. Arrow raises on the first int beyond 2^53 that meets a float (tried)."""
    first, second = types
    unsigned = pa.types.is_unsigned_integer
    if kind_of(first) == kind_of(second) and unsigned(first) == unsigned(second):
        return None
    return f"cannot compare {first} with {second} exactly"
