"""The SQL that merges a staged load into its raw table. Pure text, no connection.

It speaks of what a load stages in tables of its session: ``landed`` (all rows, each with its file and its position in it),
``excluded`` (the positions of rows that stepped aside), ``asked`` (the window's keys), ``changed`` and ``skipped`` (days), and
``staged`` (the rows to load). Joins are equalities, and no condition looks into another table row by row but by equality:
Snowflake evaluates no other subqueries.
"""

from pipelines.sync.model import StagedLoad
from pipelines.sync.schema import DELETED_AT
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import Dialect, is_instant

_EXCLUDED = (
    "select 1 from excluded where excluded._daybreak_file = landed._daybreak_file and excluded.file_row_number = landed.file_row_number"
)
GOOD = f"(select * from landed where not exists ({_EXCLUDED}))"
BAD = f"(select * from landed where exists ({_EXCLUDED}))"


def accepted(to: Dialect, load: StagedLoad) -> str:
    """Return the SELECT of the rows that are to be loaded: not stepped aside, not in a day that stands unchanged."""
    columns = ", ".join(f"landed.{to.quote(column.name)}" for column in load.columns)
    rows = f"{GOOD} landed" if load.quarantined else "landed"
    where = ""
    if load.skipped_days:
        day = day_of(to, load)
        where = f" where {day} not in (select day from skipped)"
    # A later chunk was read later: its version of a row wins.
    latest = f" qualify row_number() over (partition by {key_list(to, load.spec)} order by _daybreak_file desc, file_row_number desc) = 1"
    return f"select {columns} from {rows}{where}{latest if load.may_repeat_keys else ''}"


def day_of(to: Dialect, load: StagedLoad, table: str = "") -> str:
    """Return the SQL of a row's day; ``table`` qualifies the column."""
    if load.spec.partition is None:
        raise ValueError(f"{load.spec.id} is not partitioned")
    column = next(column for column in load.columns if column.name == load.spec.partition.column)
    name = to.quote(column.name)
    return to.day_of(f"{table}.{name}" if table else name, load.time_zone if is_instant(column.arrow_type) else None)


def key_texts(to: Dialect, load: StagedLoad, table: str) -> list[str]:
    """Return the texts of a row's key, as a key in the quarantine has them."""
    types = {column.name: column.arrow_type for column in load.columns}
    return [to.as_text(f"{table}.{to.quote(name)}", types[name]) for name in load.spec.key]


def key_matches(to: Dialect, load: StagedLoad, key: str, table: str) -> str:
    """Return the test that ``key`` (SQL of a JSON array of texts) is the key of a row of ``table``."""
    return " and ".join(f"{to.json_item(key, number)} = {text}" for number, text in enumerate(key_texts(to, load, table)))


def key_list(to: Dialect, spec: TableSpec, prefix: str = "") -> str:
    """Return the key columns, each behind ``prefix``."""
    return ", ".join(f"{prefix}{to.quote(name)}" for name in spec.key)


def merge(to: Dialect, load: StagedLoad) -> str:
    """Return the MERGE by key; a row that is equal in every landed column is not touched, unless it is marked: it is back."""
    on = _same_key(to, load, "staged")
    stamped = [f"{to.quote(name)} = staged.{to.quote(name)}" for name in _others(load)] + ["_load_id = $load_id", "_loaded_at = $loaded_at"]
    is_back = ""
    if load.watermark.has_marks:
        stamped.append(f"{DELETED_AT} = null")
        is_back = f" or target.{DELETED_AT} is not null"
    return (
        f"merge into {to.raw_table(load.spec)} as target using staged on {on} "
        f"when matched and ({_differs(to, load)}{is_back}) then update set {', '.join(stamped)} "
        f"when not matched then insert ({insert_columns(to, load)}) values ({_staged_values(to, load)}, $load_id, $loaded_at)"
    )


def _others(load: StagedLoad) -> list[str]:
    return [column.name for column in load.columns if column.name not in load.spec.key]


def _differs(to: Dialect, load: StagedLoad) -> str:
    return " or ".join(f"target.{to.quote(name)} is distinct from staged.{to.quote(name)}" for name in _others(load)) or "false"


def count_unchanged(to: Dialect, load: StagedLoad) -> str:
    """Return the count, after the MERGE, of staged rows that stand in the table as they were read, and not because of this load."""
    rows = f"{to.raw_table(load.spec)} as target join staged on {_same_key(to, load, 'staged')}"
    return f"select count(*) from {rows} where target._load_id is distinct from $load_id and not ({_differs(to, load)})"


def count_back(to: Dialect, load: StagedLoad) -> str:
    """Return the count, before the MERGE, of staged rows that are marked as deleted."""
    rows = f"{to.raw_table(load.spec)} as target join staged on {_same_key(to, load, 'staged')}"
    return f"select count(*) from {rows} where target.{DELETED_AT} is not null"


def count_repeated(to: Dialect, load: StagedLoad) -> str:
    """Return the count of good landed rows that are not the last version of their row."""
    good = f"{GOOD} landed" if load.quarantined else "landed"
    versions = f"select count(*) as versions from {good} group by {key_list(to, load.spec)}"
    return f"select coalesce(sum(versions - 1), 0) from ({versions}) counted"


def fill(to: Dialect, load: StagedLoad) -> str:
    """Return the UPDATE that gives rows the values of the filled columns, unless the row changed since it was loaded."""
    table = to.raw_table(load.spec)
    columns = [to.quote(column.name) for column in load.columns if column.name in load.plan.window.columns]
    stamped = [f"{name} = staged.{name}" for name in columns] + ["_load_id = $load_id", "_loaded_at = $loaded_at"]
    differs = " or ".join(f"target.{name} is distinct from staged.{name}" for name in columns)
    return f"update {table} as target set {', '.join(stamped)} from staged where {_stands(to, load)} and ({differs})"


def count_standing(to: Dialect, load: StagedLoad) -> str:
    """Return the count of staged rows that stand in the table as they were read, but for the columns that are filled."""
    return f"select count(*) from {to.raw_table(load.spec)} as target join staged on {_stands(to, load)}"


def _stands(to: Dialect, load: StagedLoad) -> str:
    cursor = to.quote(load.spec.cursor or "")
    # A row that is marked is read whole if it is back, and has no values to get if it is not.
    stands = f"target.{DELETED_AT} is null and " if load.watermark.has_marks else ""
    return f"{stands}{_same_key(to, load, 'staged')} and target.{cursor} is not distinct from staged.{cursor}"


def insert(to: Dialect, load: StagedLoad) -> str:
    """Return the plain INSERT for tables without a key, and for tables that are still empty."""
    columns = ", ".join(to.quote(column.name) for column in load.columns)
    return f"insert into {to.raw_table(load.spec)} ({insert_columns(to, load)}) select {columns}, $load_id, $loaded_at from staged"


def insert_columns(to: Dialect, load: StagedLoad) -> str:
    """Return the columns that a load fills."""
    return ", ".join([*(to.quote(column.name) for column in load.columns), "_load_id", "_loaded_at"])


def _staged_values(to: Dialect, load: StagedLoad) -> str:
    return ", ".join(f"staged.{to.quote(column.name)}" for column in load.columns)


def delete_vanished(to: Dialect, load: StagedLoad) -> str | None:
    """Return the DELETE of rows in the load's scope that the source has no more, or the UPDATE that marks them; None if it does neither.

    A row that stepped aside is still in the source, so its older version stays; but not in a day that the row has left.
    """
    scope, table = _scope(to, load), to.raw_table(load.spec)
    if scope is None:
        return None
    if not load.spec.key:
        return f"delete from {table} where {scope}"
    found = [f"landed where {_same_key(to, load, 'landed')}"]
    if load.spec.partition and load.quarantined and not load.plan.window.keys:
        same_day = f"{_day_text(day_of(to, load, 'landed'))} = {_day_text(day_of(to, load, 'target'))}"
        same_key = _same_key(to, load, "landed")
        found = [f"{GOOD} landed where {same_key}", f"{BAD} landed where {same_key} and {same_day}"]
    where = " and ".join([scope, *(f"not exists (select 1 from {rows})" for rows in found)])
    if load.is_marking:
        marked = f"{DELETED_AT} = $loaded_at, _load_id = $load_id, _loaded_at = $loaded_at"
        return f"update {table} as target set {marked} where target.{DELETED_AT} is null and {where}"
    return f"delete from {table} as target where {where}"


def strayed_days(to: Dialect, load: StagedLoad) -> str:
    """Return the SELECT of the days of rows that stand in another day than they were read in, which is NULL for no day."""
    day = day_of(to, load, "target")
    where = f"{day} is distinct from {day_of(to, load, 'landed')}"
    table = to.raw_table(load.spec)
    return f"select distinct {day} as day from {table} as target join landed on {_same_key(to, load, 'landed')} where {where}"


def _day_text(day: str) -> str:
    return f"coalesce(cast({day} as varchar), '')"


def is_one_of(day: str, days: str) -> str:
    """Return the test that ``day`` is one of ``days``, a SELECT, of which NULL is one too."""
    return f"{_day_text(day)} in (select {_day_text('found.day')} from ({days}) found)"


def _same_key(to: Dialect, load: StagedLoad, rows: str) -> str:
    return " and ".join(f"target.{to.quote(name)} = {rows}.{to.quote(name)}" for name in load.spec.key)


def _scope(to: Dialect, load: StagedLoad) -> str | None:
    if load.plan.window.keys:
        if not load.removes_missing:
            return None
        asked = ", ".join(to.json_item("asked.key", number) for number in range(len(load.spec.key)))
        return f"({', '.join(key_texts(to, load, 'target'))}) in (select {asked} from asked)"
    if load.spec.mode == "incremental":
        return None
    if load.spec.mode == "snapshot":
        return "true"
    if load.plan.window.is_null:
        return f"{day_of(to, load)} is null"
    return f"{day_of(to, load)} in (select day from changed)"
