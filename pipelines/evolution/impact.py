"""What stands on a raw table, from dbt's manifest: which models, columns, tests, contracts and dashboards a changed column reaches. Pure.

A model whose SQL cannot be read is told as one that the change may touch, and so is what stands on it. Not here: which column is
made of which (``lineage``, imported only when there is a change to follow), and how far that goes (``reach``).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

from pipelines.evolution.moves import Move
from pipelines.evolution.reach import Reach, follow_column, order_models
from pipelines.evolution.render import Manifest, adapter_of, relation_of
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import open_dialect

Mark = Literal["safe", "needs approval", "breaking"]
_KINDS = {"model": "model", "snapshot": "snapshot", "test": "test", "exposure": "dashboard"}
_LOAD = ("_load_id", "_loaded_at", "_deleted_at")  # the last one in some tables only


NO_MODELS: Mapping[str, Any] = {"sources": {}, "child_map": {}, "nodes": {}, "exposures": {}}  # dbt's manifest without a project


@dataclass(frozen=True)
class Touched:
    """One thing that is built on a table: which of its columns are reached from which of the source's, and what that means for it.

    ``columns`` is empty where only its rows depend on the source's columns (a filter, a join). ``is_certain`` is false where a
    model's SQL could not be read, so that only the tables between are known.
    """

    kind: str
    name: str
    columns: tuple[str, ...] = ()
    because: tuple[str, ...] = ()
    mark: Mark = "safe"
    reason: str = ""
    is_certain: bool = True


def list_descendants(manifest: Manifest, spec: TableSpec) -> Sequence[Touched]:
    """Return all that descends from a raw table but its tests, in the order in which it is reached."""
    found = [_find_node(manifest, key) for key in _descend(manifest["child_map"], _roots(manifest, spec))]
    return [Touched(_KINDS[node["resource_type"]], node["name"]) for node in found if node and node["resource_type"] != "test"]


def list_touched(manifest: Manifest, spec: TableSpec, columns: Sequence[str], moves: Sequence[Move]) -> Sequence[Touched]:
    """Return what the moved columns of a raw table reach; ``columns`` are all that the table has before."""
    roots = _roots(manifest, spec)
    nodes = [key for key in _descend(manifest["child_map"], roots) if _find_node(manifest, key)]
    if not roots or not moves or not nodes:
        return ()
    from pipelines.evolution.lineage import trace_models

    raw = {relation_of(manifest["sources"][root]): list(dict.fromkeys([*columns, *_LOAD])) for root in roots}
    traced = trace_models(manifest, order_models(manifest, nodes), raw)
    found: dict[tuple[str, str], Touched] = {}
    for move in moves:
        reach = follow_column(manifest, roots, move.was, nodes, traced)
        for touched in _touch(manifest, nodes, move, reach):
            known = found.get((touched.kind, touched.name))
            found[touched.kind, touched.name] = _merge(known, touched) if known else touched
    return list(found.values())


def _roots(manifest: Manifest, spec: TableSpec) -> list[str]:
    return [
        key
        for key, node in manifest["sources"].items()
        if (node["schema"], node["identifier"].replace('""', '"')) == (f"raw_{spec.source}", spec.name)
    ]


def _descend(children: Mapping[str, Sequence[str]], roots: Sequence[str]) -> Iterator[str]:
    waiting, seen = list(roots), set(roots)
    while waiting:
        for child in children.get(waiting.pop(0), ()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
                yield child


def _find_node(manifest: Manifest, key: str) -> Mapping[str, Any] | None:
    node = manifest["nodes"].get(key) or manifest["exposures"].get(key)
    return node if node and node["resource_type"] in _KINDS else None


def _touch(manifest: Manifest, nodes: Sequence[str], move: Move, reach: Reach) -> Iterator[Touched]:
    """Yield what a move touches, dashboards last: they stand on all else."""
    broken: set[str] = set()
    found = {key: node for key in nodes if (node := _find_node(manifest, key))}
    for key, node in found.items():
        if node["resource_type"] == "exposure":
            continue
        is_test, parents = node["resource_type"] == "test", set(node["depends_on"]["nodes"])
        for touched in _touch_test(node, move, reach) if is_test else _touch_model(node, move, reach, adapter_of(manifest)):
            broken |= (parents if is_test else {key}) if touched.mark == "breaking" else set()
            yield touched
    for node in (node for node in found.values() if node["resource_type"] == "exposure"):
        parents = set(node["depends_on"]["nodes"])
        if parents & reach.nodes:
            told = Touched("dashboard", node["name"], (), (move.was,), is_certain=not parents & reach.nodes <= reach.unknown)
            yield _mark(told, "stands on what breaks, so it stays as it is" if parents & broken else "")


def _touch_model(node: Mapping[str, Any], move: Move, reach: Reach, kind: str) -> Iterator[Touched]:
    key, parents = node["unique_id"], node["depends_on"]["nodes"]
    if key not in reach.nodes:
        return
    columns = tuple(reach.columns.get(key, ()))
    told = Touched(_KINDS[node["resource_type"]], node["name"], columns, (move.was,), is_certain=key not in reach.unknown)
    yield _mark(told, _tell_lost(node, move) if reach.is_raw(parents) and told.is_certain else "")
    if columns and node.get("contract", {}).get("enforced"):
        yield _mark(Touched("contract", node["name"], columns, (move.was,)), _break_contract(node, move, reach, kind))


def _tell_lost(node: Mapping[str, Any], move: Move) -> str:
    """Return how a model that reads the raw table loses a column; empty if it does not."""
    if move.is_reused:
        return f"reads {move.was}, and another column is called so now"
    if move.kind == "rename" and "former_names(" not in node["raw_code"]:
        return f"reads {move.was}, and has no former_names() to find it by"
    return ""


def _touch_test(node: Mapping[str, Any], move: Move, reach: Reach) -> Iterator[Touched]:
    columns = _tested(node, reach)
    if columns:
        is_null = any((key, columns[0]) in reach.nulls for key in node["depends_on"]["nodes"])
        breaks = move.kind == "drop" and not move.is_reused and is_null and _is_not_null(node)
        yield _mark(Touched("test", node["name"], columns, (move.was,)), f"{columns[0]} is NULL in new rows" if breaks else "")


def _mark(touched: Touched, reason: str) -> Touched:
    return replace(touched, mark="breaking", reason=reason) if reason else touched


def _tested(node: Mapping[str, Any], reach: Reach) -> tuple[str, ...]:
    """Return the reached columns that a test tells of, its own column first."""
    reached = {column for key in node["depends_on"]["nodes"] for column in reach.columns.get(key, ())}
    if column := node.get("column_name"):
        owner = node.get("attached_node")
        own = {column.lower()} & (set(reach.columns.get(owner, ())) if owner else reached)
        return tuple(own) or _named_in(json.dumps(node["test_metadata"]["kwargs"]), reached - {column.lower()})
    return _named_in(json.dumps((node.get("test_metadata") or {}).get("kwargs")) + node["raw_code"], reached)


def _named_in(text: str, columns: Set[str]) -> tuple[str, ...]:
    return tuple(sorted(column for column in columns if re.search(rf"(?<!\w){re.escape(column)}(?!\w)", text, re.IGNORECASE)))


def _is_not_null(node: Mapping[str, Any]) -> bool:
    return (node.get("test_metadata") or {}).get("name") == "not_null" and node["config"].get("severity", "error").lower() != "warn"


def _break_contract(node: Mapping[str, Any], move: Move, reach: Reach, kind: str) -> str:
    """Return what a contract says that will be so no more; empty if it holds."""
    key = node["unique_id"]
    for name, column in ((name.lower(), column) for name, column in node["columns"].items()):
        rules = {constraint["type"] for constraint in column.get("constraints") or ()}
        if move.kind == "drop" and not move.is_reused and "not_null" in rules and (key, name) in reach.nulls:
            return f"{name} is not_null, and will be NULL in new rows"
        if move.kind in ("widen", "retype") and (key, name) in reach.same and move.after and column.get("data_type"):
            new = open_dialect(kind).type_of(move.after.arrow_type)
            if not _is_same_type(column["data_type"], new, kind):
                return f"{name} is {column['data_type']}, and will be {new}"
    return ""


def _is_same_type(left: str, right: str, kind: str) -> bool:
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    def read(text: str) -> tuple[Any, ...]:
        found = exp.DataType.build(text, dialect=kind)
        if kind != "snowflake" or not found.is_type("decimal", *exp.DataType.INTEGER_TYPES):
            # Snowflake's contracts say what kind of value it is: `varchar` is every length, and `timestamptz` microseconds too.
            return (found.this,) if kind == "snowflake" else (found,)
        numbers = [int(number.name) for number in found.expressions]
        return ("number", *numbers) if numbers and numbers[1:] != [0] else ("whole number",)

    try:
        return read(left) == read(right)
    except SqlglotError:
        return left.lower() == right.lower()


def _merge(one: Touched, other: Touched) -> Touched:
    """Return what both say of one thing."""
    worse = other if other.mark == "breaking" and one.mark != "breaking" else one
    return replace(
        worse,
        columns=tuple(dict.fromkeys([*one.columns, *other.columns])),
        because=tuple(dict.fromkeys([*one.because, *other.because])),
        reason="; ".join(dict.fromkeys(part for part in (one.reason, other.reason) if part)),
        is_certain=one.is_certain or other.is_certain,
    )
