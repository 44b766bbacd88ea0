"""Rules between settings: what a mode needs, names that collide, expectations that make no sense.

They look at the plain values and pass over what has the wrong shape, so that they are told together with the mistakes that
pydantic finds, which would run its own rules between fields only when every field is right. Not here: shapes (``models``).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipelines.catalog.problem import Path, Problem, name_unknown
from pipelines.gates.declaration import check_declaration, did_you_mean
from pipelines.gates.rules import RULES
from pipelines.names import find_namesake, make_asset_name
from pipelines.sync.spec import Expectation

EXPECTATION_SETTINGS = ("on_failure", "mostly")
_SHAPE = "write `- expect_…: {column: …}` with `on_failure:` beneath it"


def find_inconsistencies(source: Mapping[str, Any]) -> list[Problem]:
    """Return every problem that shows only between settings of one file."""
    tables = _items(source.get("tables"))
    problems = list(_collisions(tables))
    for number, table in enumerate(tables):
        if isinstance(table, Mapping):
            path: Path = ("tables", number)
            problems += [*_mode_problems(path, table), *_column_problems(path, table), *_expectation_problems(path, table)]
    return problems


ANOTHER_NAME = "sync one of them, or a view of the source with another name"


def _items(value: object) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def _collisions(tables: Sequence[Any]) -> Iterator[Problem]:
    folded: dict[str, str] = {}
    assets: dict[str, str] = {}
    named = {table["name"].casefold() for table in tables if isinstance(table, Mapping) and isinstance(table.get("name"), str)}
    for number, table in enumerate(tables):
        name = table.get("name") if isinstance(table, Mapping) else None
        if not isinstance(name, str):
            continue
        where = ("tables", number, "name")
        is_other_entry = name in folded.values()
        other = folded.setdefault(name.casefold(), name)
        namesake = assets.setdefault(make_asset_name(name).casefold(), name)
        if is_other_entry:
            yield Problem(where, f"the table `{name}` is named twice", "keep one of the two entries")
        elif other != name:
            told = f"`{other}` and `{name}` are one name to the warehouse, which takes no notice of capitals"
            yield Problem(where, told, ANOTHER_NAME)
        elif (first := find_namesake(name)) and first.casefold() in named:
            yield Problem(where, f"`{name}` is what the warehouse would call an older table of `{first}`, or a copy of it", ANOTHER_NAME)
        elif namesake != name:
            told = f"`{namesake}` and `{name}` are one name in the lineage: `{make_asset_name(name)}`"
            yield Problem(where, told, ANOTHER_NAME)


def _mode_problems(path: Path, table: Mapping[str, Any]) -> Iterator[Problem]:
    mode = table.get("mode")
    if mode == "incremental":
        for needed, meaning in (("key", "columns that tell rows apart"), ("cursor", "a column that grows when a row changes")):
            if not table.get(needed):
                yield Problem(path, f"mode incremental needs `{needed}`", f"add it ({meaning}), or choose mode snapshot")
    elif mode in ("partitioned", "snapshot") and table.get("cursor"):
        yield Problem((*path, "cursor"), "`cursor` goes with mode incremental", "remove it, or change the mode")
    if mode in ("partitioned", "snapshot") and table.get("deletes") == "reconcile":
        yield Problem(
            (*path, "deletes"), "`deletes: reconcile` goes with mode incremental", f"remove it: mode {mode} follows deletes itself"
        )
    if "deleted_rows" in table and not (mode == "incremental" and table.get("deletes") == "reconcile"):
        remedy = "add `deletes: reconcile`, or remove it" if mode == "incremental" else f"remove it: mode {mode} deletes what it finds gone"
        yield Problem((*path, "deleted_rows"), "`deleted_rows` goes with mode incremental and `deletes: reconcile`", remedy)
    if mode == "partitioned" and not table.get("partition"):
        yield Problem(path, "mode partitioned needs `partition`", "add partition: {column: …, start: 2026-01-31}, or choose mode snapshot")
    if mode in ("incremental", "snapshot") and table.get("partition"):
        yield Problem((*path, "partition"), "`partition` goes with mode partitioned", "remove it, or change the mode")


def _column_problems(path: Path, table: Mapping[str, Any]) -> Iterator[Problem]:
    key, partition, masks = _items(table.get("key")), table.get("partition"), _masks(table)
    for number, name in enumerate(key):
        if name in key[:number]:
            yield Problem((*path, "key", number), f"names `{name}` twice", "remove one")
    day = partition.get("column") if isinstance(partition, Mapping) else None
    for name, role in [*((name, "the key") for name in key), (table.get("cursor"), "the cursor"), (day, "the partition column")]:
        if isinstance(name, str) and name in masks:
            yield Problem(
                (*path, "columns", name), f"`{name}` is {role}, which cannot be masked", "remove the mask, or choose another column"
            )


def _masks(table: Mapping[str, Any]) -> dict[str, Any]:
    columns = table.get("columns")
    entries = columns.items() if isinstance(columns, Mapping) else ()
    masks = {name: column.get("mask") for name, column in entries if isinstance(column, Mapping)}
    return {name: mask for name, mask in masks.items() if mask in ("drop", "hmac")}


def _expectation_problems(path: Path, table: Mapping[str, Any]) -> Iterator[Problem]:
    masks, seen = _masks(table), list[Any]()
    for number, entry in enumerate(_items(table.get("expectations"))):
        where: Path = (*path, "expectations", number)
        if not isinstance(entry, Mapping):
            continue
        if entry in seen:
            yield Problem(where, "is declared twice", "remove one of them")
        seen.append(entry)
        names = [name for name in entry if name not in EXPECTATION_SETTINGS]
        named = [name for name in names if name.startswith("expect_")] or [name for name in names if not _is_setting(name)]
        for name in names:
            if name not in named:
                yield name_unknown((*where, name), EXPECTATION_SETTINGS)
        if len(named) != 1:
            yield Problem(where, "names more than one expectation" if named else "names no expectation", _SHAPE)
        else:
            yield from _declaration_problems((*where, named[0]), named[0], entry, masks)


def _is_setting(name: str) -> bool:
    return bool(did_you_mean(name, EXPECTATION_SETTINGS)) and not did_you_mean(name, RULES)


def _declaration_problems(path: Path, name: str, entry: Mapping[str, Any], masks: Mapping[str, Any]) -> Iterator[Problem]:
    arguments, mostly = entry[name], entry.get("mostly", 1.0)
    if not isinstance(arguments, Mapping):
        yield Problem(path, f"takes its arguments as a mapping, not {arguments!r}", f"write {name}: {{column: …}}")
        return
    is_share = isinstance(mostly, int | float) and not isinstance(mostly, bool) and 0 < mostly <= 1
    expectation = Expectation(name, arguments, entry.get("on_failure", "warn"), mostly if is_share else 1.0)
    for problem in check_declaration(expectation, masks):
        is_there = problem.argument is not None and problem.argument in arguments
        yield Problem((*path, problem.argument) if is_there and problem.argument else path, problem.message)
