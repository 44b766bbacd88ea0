"""What a change of the source's schema means for the warehouse: a list of lossless moves, or a refusal. Pure.

A column is the same column if the database's own identity says so, in the same relation; otherwise names are compared and
nothing is called a rename.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from pipelines.errors import PrerequisiteError, SchemaRefused
from pipelines.sync.protocols import UNFIT_COLUMN
from pipelines.sync.shape import Column, SchemaChange, TableSchema
from pipelines.sync.spec import TableSpec

Judgement = Literal["safe", "needs approval", "breaking"]
# Each type holds every value of those before it, digit by digit.
_INTEGERS = (pa.int16(), pa.int32(), pa.int64())
RESERVED = frozenset({"_load_id", "_loaded_at", "_daybreak_file", "file_row_number", UNFIT_COLUMN})
_INTEGER_DIGITS = {pa.int16(): 5, pa.int32(): 10, pa.int64(): 19}


def raw_columns(spec: TableSpec, schema: TableSchema) -> tuple[Column, ...]:
    """Return what lands after masks: dropped columns are gone, hashed ones are text."""
    kept = (column for column in schema.columns if spec.masks.get(column.name) != "drop")
    return tuple(_hashed(column) if spec.masks.get(column.name) == "hmac" else column for column in kept)


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
        if folded in RESERVED:
            problems.append(f"{spec.id}: the column `{column.name}` has a name that Daybreak uses itself.")
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
    """One change of the source's schema, and what the contract makes of it. ``change`` is None where no lossless move exists."""

    told: str
    judgement: Judgement
    change: SchemaChange | None = None


def judge_changes(spec: TableSpec, before: TableSchema | None, after: TableSchema) -> tuple[JudgedChange, ...]:
    """Return what changed from ``before`` (the last committed schema) to ``after``, each change judged by the table's contract.

    `evolve` lets lossless moves happen and holds the rest, `approve` holds every change, and to `freeze` every change is breaking.
    """
    if before is None:
        return ()
    changes, lossy = _compare(spec, before, after)
    held: Judgement = "breaking" if spec.contract == "freeze" else "needs approval"
    lossless: Judgement = "safe" if spec.contract == "evolve" else held
    return (*(JudgedChange(told, held) for told in lossy), *(JudgedChange(str(change), lossless, change) for change in changes))


def plan_changes(spec: TableSpec, before: TableSchema | None, after: TableSchema) -> tuple[SchemaChange, ...]:
    """Return the moves from ``before`` to ``after``. Raises ``SchemaRefused`` if a change is not safe as judged by ``judge_changes``."""
    judged = judge_changes(spec, before, after)
    if refused := [change.told for change in judged if change.judgement != "safe"]:
        raise SchemaRefused(
            f"the source changed: {'; '.join(refused)}; the contract is `{spec.contract}`.",
            safe="Nothing was written; the last load stands.",
            remedy="Allow it with `contract: evolve` where it is lossless, or revert the source; "
            f"entry `{spec.name}` of catalog {spec.source}.",
            table=spec.id,
        )
    return tuple(change.change for change in judged if change.change)


def _compare(spec: TableSpec, before: TableSchema, after: TableSchema) -> tuple[list[SchemaChange], list[str]]:
    """Return the lossless moves, and in words what is none."""
    old, new = raw_columns(spec, before), raw_columns(spec, after)
    is_same_relation = before.identity == after.identity
    changes, lossy, matched = [], [], set()
    for column in new:
        known = _same(column, old, is_same_relation)
        if known is None:
            changes.append(SchemaChange("add", None, column))
            continue
        matched.add(known.name)
        if known.name != column.name:
            changes.append(SchemaChange("rename", known, column))
        if known.arrow_type != column.arrow_type:
            if is_widening(known.arrow_type, column.arrow_type):
                changes.append(SchemaChange("widen", known, column))
            else:
                lossy.append(f"{column.name}: {known.source_type} to {column.source_type}, which may lose values")
    changes += [SchemaChange("drop", column, None) for column in old if column.name not in matched]
    return changes, lossy


def _same(column: Column, old: tuple[Column, ...], is_same_relation: bool) -> Column | None:
    if is_same_relation and column.identity is not None:
        return next((known for known in old if known.identity == column.identity), None)
    return next((known for known in old if known.name == column.name), None)


def is_widening(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether every value of ``before`` is the same value, written the same way, in ``after``."""
    if before in _INTEGERS and after in _INTEGERS:
        return _INTEGERS.index(before) <= _INTEGERS.index(after)
    if pa.types.is_decimal(after):
        if before in _INTEGER_DIGITS:
            return bool(after.precision - after.scale >= _INTEGER_DIGITS[before])
        has_room = pa.types.is_decimal(before) and after.precision - after.scale >= before.precision - before.scale
        return bool(has_room and after.scale >= before.scale)
    if pa.types.is_string(after):
        # A number's text in the warehouse is its text in the source; a time's or a float's may be written otherwise.
        return before in _INTEGERS or bool(pa.types.is_decimal(before))
    return bool(before == pa.float32() and after == pa.float64())


def _hashed(column: Column) -> Column:
    return Column(column.name, "text", pa.string(), column.is_nullable, column.identity, column.comment)
