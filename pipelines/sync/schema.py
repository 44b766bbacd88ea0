"""What a change of the source's schema means for the warehouse: a list of moves, each lossless or approved, or a refusal. Pure.

A column is the same column if the database's own identity says so, in the same relation; otherwise names are compared and
nothing is called a rename.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Literal

import pyarrow as pa

from pipelines.errors import PrerequisiteError, SchemaRefused
from pipelines.sync.model import Window
from pipelines.sync.protocols import UNFIT_COLUMN
from pipelines.sync.shape import Column, SchemaChange, TableSchema
from pipelines.sync.spec import Expectation, TableSpec
from pipelines.sync.widening import is_lossless

Judgement = Literal["safe", "needs approval", "breaking"]
CHANGES_VALUES = ("add", "widen", "retype")  # of rows that did not move
DELETED_AT = "_deleted_at"  # the engine's, in tables whose entry says `deleted_rows: mark`
RESERVED = frozenset({"_load_id", "_loaded_at", "_daybreak_file", "file_row_number", UNFIT_COLUMN})


def raw_columns(spec: TableSpec, schema: TableSchema) -> tuple[Column, ...]:
    """Return what stands in the warehouse: columns whose mask is `drop` are gone, hashed ones are text."""
    return landed_columns(spec, schema, Window())


def landed_columns(spec: TableSpec, schema: TableSchema, window: Window) -> tuple[Column, ...]:
    """Return what lands of the rows of a window, after masks."""
    kept = read_columns(spec, schema, window)
    return tuple(_hashed(column) if spec.masks.get(column.name) == "hmac" else column for column in kept)


def read_columns(spec: TableSpec, schema: TableSchema, window: Window) -> tuple[Column, ...]:
    """Return what is read of the rows of a window, before masks: of columns that are filled, those with the key and the cursor."""
    wanted = {*spec.key, spec.cursor, *window.columns, *_named_with(spec, window.columns)}
    kept = (column for column in schema.columns if spec.masks.get(column.name) != "drop")
    return tuple(column for column in kept if not window.columns or column.name in wanted)


def _named_with(spec: TableSpec, columns: Collection[str]) -> set[str]:
    """Return the columns that gates compare with those of ``columns``."""
    named = (named_columns(expectation) for expectation in spec.expectations) if columns else ()
    return {name for names in named if names & set(columns) for name in names}


def named_columns(expectation: Expectation) -> set[str]:
    """Return the columns that an expectation looks at."""
    values = [value for name, value in expectation.arguments.items() if name.startswith("column")]
    return {name for value in values for name in (value if isinstance(value, (list, tuple)) else [value])}


def check_names(spec: TableSpec, schema: TableSchema) -> None:
    """Raise ``PrerequisiteError`` for columns that no warehouse can tell apart, and for names that are ours."""
    seen: dict[str, str] = {}
    problems = []
    if not raw_columns(spec, schema):
        raise PrerequisiteError(
            [f"{spec.id}: the table has no column that could land."],
            safe="Nothing was written; the last load stands.",
            remedy=f"Take the entry `{spec.name}` out of the catalog, or leave a column without `mask: drop`.",
        )
    for column in raw_columns(spec, schema):
        folded = column.name.casefold()
        if folded in RESERVED or (folded == DELETED_AT and spec.marks_deleted):
            use = " for `deleted_rows: mark`" if folded == DELETED_AT else ""
            problems.append(f"{spec.id}: the column `{column.name}` has a name that Daybreak uses itself{use}.")
        elif folded in seen:
            problems.append(f"{spec.id}: the columns `{seen[folded]}` and `{column.name}` are one name to the warehouse.")
        seen.setdefault(folded, column.name)
    if problems:
        raise PrerequisiteError(
            problems,
            safe="Nothing was written; the last load stands.",
            remedy=f"Leave a column out with `mask: drop` in the entry `{spec.name}`, or sync a view that gives it another name.",
        )


@dataclass(frozen=True)
class JudgedChange:
    """One change of the source's schema, and what the contract makes of it. ``change`` is None where the warehouse has nothing to do."""

    told: str
    judgement: Judgement
    change: SchemaChange | None = None


@dataclass(frozen=True)
class Known:
    """What a table's last load left: its schema, and the approvals that were given since the beginning."""

    schema: TableSchema | None
    version: int = 0
    approvals: Collection[str] = ()


def judge_changes(spec: TableSpec, before: TableSchema | None, after: TableSchema) -> tuple[JudgedChange, ...]:
    """Return what changed from ``before`` (the last committed schema) to ``after``, each change judged by the table's contract.

    `evolve` lets lossless moves happen and holds the rest, `approve` holds every change, and to `freeze` every change is breaking.
    What lands is not changed by nullability, defaults and keys, so those are told and never held.
    """
    if before is None:
        return ()
    held: Judgement = "breaking" if spec.contract == "freeze" else "needs approval"
    lossless: Judgement = "safe" if spec.contract == "evolve" else held
    judged = [JudgedChange(told, lossless) for told in _compare_names(spec, before, after)]
    for change in _compare(spec, before, after):
        why = _why_not(spec, change)
        judged.append(JudgedChange(f"{change}{why}", held if why else lossless, change))
    return (*judged, *(JudgedChange(told, "safe") for told in _compare_rules(spec, before, after)))


def plan_changes(spec: TableSpec, known: Known, after: TableSchema) -> tuple[SchemaChange, ...]:
    """Return the moves from the last committed schema to ``after``.

    Raises ``SchemaRefused`` if a change is not safe as judged by ``judge_changes``, and was not approved.
    """
    judged = judge_changes(spec, known.schema, after)
    refused = [change for change in judged if change.judgement != "safe"]
    approval = identify_changes(spec, known, judged)
    if any(change.judgement == "breaking" for change in refused) or (refused and approval not in known.approvals):
        look = f"Look at it with `daybreak plan {spec.source}`"
        raise SchemaRefused(
            f"the source changed: {'; '.join(change.told for change in refused)}; the contract is `{spec.contract}`.",
            safe="Nothing was written; the last load stands.",
            remedy=f"{look}; change the contract of `{spec.name}` in the catalog to let it in, or revert the source."
            if spec.contract == "freeze"
            else f"{look}; let it in with `daybreak apply {spec.source} --approve {approval}`, or revert the source.",
            table=spec.id,
        )
    return tuple(change.change for change in judged if change.change)


def _why_not(spec: TableSpec, change: SchemaChange) -> str:
    """Say why a change is none that may happen by itself; empty if it is one."""
    if change.kind == "retype":
        return ", which may not hold every value"
    return ", and the key or the day is told by it" if change.kind == "add" and is_restart(spec, [change]) else ""


def identify_changes(spec: TableSpec, known: Known, judged: Sequence[JudgedChange]) -> str:
    """Return the id by which a person approves just these changes of this table, from just this schema: eight hex digits."""
    waiting = [change for change in judged if change.judgement != "safe"]
    told = [spec.id, known.version, known.schema and known.schema.identity, *(change.told for change in waiting)]
    moved = [change.change for change in waiting if change.change]
    columns = [column.identity for move in moved for column in (move.before, move.after) if column]
    return hashlib.sha256(json.dumps([told, columns]).encode()).hexdigest()[:8]


def columns_to_fill(spec: TableSpec, schema: TableSchema, changes: Sequence[SchemaChange]) -> tuple[str, ...]:
    """Return the columns whose values of older rows are read by themselves, with the key and the cursor, instead of whole rows.

    None where whole rows have to be read: without a unique index, and when the key, the cursor or the table itself is another.
    """
    if spec.mode != "incremental" or not schema.has_unique_key or any(change.kind == "swap" for change in changes):
        return ()
    named = tuple(change.after.name for change in changes if change.after and change.kind in CHANGES_VALUES)
    return () if {*spec.key, spec.cursor} & set(named) else named


def standing_columns(spec: TableSpec, history: Sequence[TableSchema]) -> Collection[str]:
    """Return the columns that a raw table has after a history of schemas: those that the source dropped stand, too."""
    standing = {column.name for column in raw_columns(spec, history[0])} if history else set()
    for before, after in pairwise(history):
        changes = _compare(spec, before, after)
        standing -= {change.before.name for change in changes if change.before and change.kind == "rename"}  # all at once: two may swap
        standing |= {change.after.name for change in changes if change.after}
    return standing


def names_now(history: Sequence[TableSchema], schema: TableSchema) -> Mapping[str, str]:
    """Return what columns are called now that had another name in an older schema of the same relation, by their former names.

    A former name that a column has today is that column's.
    """
    today = {column.identity: column.name for column in schema.columns if column.identity is not None}
    taken = set(today.values())
    return {
        column.name: today[column.identity]
        for older in history
        if older.identity == schema.identity
        for column in older.columns
        if column.identity in today and column.name not in taken
    }


def follow_names(spec: TableSpec, names: Mapping[str, str]) -> TableSpec:
    """Return the entry with its expectations on columns that were renamed as on what they are called now."""
    if not names:
        return spec

    def now(value: Any) -> Any:  # noqa: ANN401 - an argument of any kind
        if isinstance(value, (list, tuple)):
            return [now(item) for item in value]
        return names.get(value, value) if isinstance(value, str) else value

    followed = tuple(
        replace(one, arguments={name: now(value) if name.startswith("column") else value for name, value in one.arguments.items()})
        for one in spec.expectations
    )
    return replace(spec, expectations=followed)


def outline(identity: str, columns: Iterable[tuple[int | None, str, str, bool]]) -> str:
    """Return a hash of a relation's identity and its columns (identity, name, source type, is nullable): equal means nothing to follow."""
    return hashlib.sha256(json.dumps([identity, list(columns)]).encode()).hexdigest()[:16]


def outline_of(schema: TableSchema) -> str:
    """Return the outline of a schema; what it is compared with comes from ``Source.outlines``."""
    return outline(schema.identity, [(one.identity, one.name, one.source_type, one.is_nullable) for one in schema.columns])


def is_restart(spec: TableSpec, changes: Sequence[SchemaChange]) -> bool:
    """Whether rows cannot be matched with those of before: the table is kept under another name, and loaded anew.

    That is so when the key or the day is told by another column, and where values would be kept in a table without a key, whose
    rows are replaced and not matched.
    """
    decides = {*spec.key, *([spec.partition.column] if spec.partition else [])}
    is_other_key = any(change.kind in ("add", "retype") and change.after and change.after.name in decides for change in changes)
    return is_other_key or (not spec.key and any(change.kind in ("drop", "retype") for change in changes))


def _compare(spec: TableSpec, before: TableSchema, after: TableSchema) -> list[SchemaChange]:
    """Return the moves from one shape to the other."""
    old, new = raw_columns(spec, before), raw_columns(spec, after)
    is_same_relation = before.identity == after.identity
    changes, matched = [] if is_same_relation else [SchemaChange("swap")], set[str]()
    for column in new:
        known = _same(column, old, is_same_relation)
        if known is None:
            changes.append(SchemaChange("add", None, column))
            continue
        matched.add(known.name)
        # Two types may land alike (varchar and text), and yet a migration may have rewritten the values from one to the other.
        is_other_type = (known.arrow_type, known.source_type) != (column.arrow_type, column.source_type)
        if is_other_type and not is_lossless(known, column, is_key=column.name in spec.key):
            changes.append(SchemaChange("retype", known, column))
            continue
        if known.name != column.name:
            changes.append(SchemaChange("rename", known, column))
        if is_other_type:
            changes.append(SchemaChange("widen", known, column))
    return [*changes, *(SchemaChange("drop", column) for column in old if column.name not in matched)]


def _compare_names(spec: TableSpec, before: TableSchema, after: TableSchema) -> list[str]:
    """Say that the table has another name in the source, unless the catalog says so itself."""
    is_told = after.relation == (spec.relation or spec.name) or not before.relation
    if is_told or before.identity != after.identity or before.relation == after.relation:
        return []
    return [f"the table is now called {after.relation}, was {before.relation}"]


def _compare_rules(spec: TableSpec, before: TableSchema, after: TableSchema) -> list[str]:
    """Say what changed of the rules that the source's rows obey."""
    told = []
    if before.has_unique_key != after.has_unique_key:
        told.append(f"a unique index on the key ({', '.join(spec.key)}) is {'there now' if after.has_unique_key else 'gone'}")
    old = raw_columns(spec, before)
    for column in raw_columns(spec, after):
        known = _same(column, old, before.identity == after.identity)
        if known is None:
            continue
        if known.is_nullable != column.is_nullable:
            told.append(f"{column.name} may {'be' if column.is_nullable else 'not be'} NULL {'now' if column.is_nullable else 'any more'}")
        if known.default != column.default:
            told.append(f"the default of {column.name} is {column.default or 'none'}, was {known.default or 'none'}")
    return told


def _same(column: Column, old: tuple[Column, ...], is_same_relation: bool) -> Column | None:
    if is_same_relation and column.identity is not None:
        return next((known for known in old if known.identity == column.identity), None)
    return next((known for known in old if known.name == column.name), None)


def _hashed(column: Column) -> Column:
    """Return the column as it lands: a text. Its type in the source stays told, as a value of another type has another hash."""
    return replace(column, arrow_type=pa.string(), default=None)
