"""DuckDB's SQL for raw tables and for merging a landed load into them. Pure text, no connection."""

from collections.abc import Collection, Sequence

import pyarrow as pa

from pipelines.landing.scan import day_expression, parquet_pattern, quote
from pipelines.sync.model import StagedLoad
from pipelines.sync.schema import DELETED_AT
from pipelines.sync.shape import Column, SchemaChange
from pipelines.sync.spec import TableSpec

OLDER = "_before_v"
MARK_COLUMN = f'"{DELETED_AT}" timestamp with time zone'
LOAD_COLUMNS = ('"_load_id" varchar', '"_loaded_at" timestamp with time zone')

_TYPES = {
    pa.bool_(): "boolean",
    pa.binary(): "blob",
    pa.date32(): "date",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.string(): "varchar",
    pa.time64("us"): "time",
    pa.timestamp("us"): "timestamp",
    pa.timestamp("us", tz="UTC"): "timestamp with time zone",
}


def duckdb_type(arrow_type: pa.DataType) -> str:
    """Return the column type that holds every value of ``arrow_type``."""
    if pa.types.is_decimal(arrow_type):
        return f"decimal({arrow_type.precision}, {arrow_type.scale})"
    return _TYPES[arrow_type]


def literal(text: str | None) -> str:
    """Return ``text`` as a literal, for DDL, which takes no parameters."""
    return "null" if text is None else "'" + text.replace("'", "''") + "'"


def schema_name(spec: TableSpec) -> str:
    """Return the quoted schema of a source's raw tables."""
    return quote(f"raw_{spec.source}")


def raw_table(spec: TableSpec) -> str:
    """Return the quoted name of a raw table."""
    return f"{schema_name(spec)}.{quote(spec.name)}"


def create_table(spec: TableSpec, columns: tuple[Column, ...]) -> str:
    """Return the DDL of a raw table; no primary key, which would make every load dearer (measured)."""
    defined = [f"{quote(column.name)} {duckdb_type(column.arrow_type)}" for column in columns]
    marks = [MARK_COLUMN] if spec.marks_deleted else []
    return f"create table if not exists {raw_table(spec)} ({', '.join([*defined, *LOAD_COLUMNS, *marks])})"


def apply_changes(spec: TableSpec, changes: Sequence[SchemaChange], version: int, standing: Collection[str]) -> list[str]:
    """Return the DDL of a schema's moves to its next ``version``; ``standing`` are the raw table's columns, dropped ones too.

    Nothing is dropped: what cannot stay under its name is kept under another one. Where a new name is an old one of another
    column, renames go through a name that nobody has, so that two columns can swap.
    """
    table = raw_table(spec)
    statements = [rename_column(table, name, kept) for name, kept in make_room(changes, version, standing)]
    renames = [(change.before.name, change.after.name) for change in changes if change.kind == "rename" and change.before and change.after]
    old_names = {old.casefold() for old, _ in renames}
    moving = [(old, f"_moving_{old}" if new.casefold() in old_names else new, new) for old, new in renames]
    statements += [rename_column(table, old, first) for old, first, _ in moving]
    statements += [rename_column(table, first, new) for _, first, new in moving if first != new]
    for change in changes:
        if change.after and change.kind in ("add", "retype"):
            statements.append(f"alter table {table} add column {quote(change.after.name)} {duckdb_type(change.after.arrow_type)}")
        elif change.after and change.kind == "widen":
            statements.append(f"alter table {table} alter column {quote(change.after.name)} type {duckdb_type(change.after.arrow_type)}")
    return statements


def make_room(changes: Sequence[SchemaChange], version: int, standing: Collection[str]) -> list[tuple[str, str]]:
    """Return the columns whose name belongs to another one now, and what they become: they were dropped, or got another type."""
    taken = {name.casefold() for name in standing} | {change.after.name.casefold() for change in changes if change.after}
    leaving = {change.before.name.casefold() for change in changes if change.before and change.kind == "rename"}
    rooms: list[tuple[str, str]] = []
    for change in changes:
        name = change.after.name if change.after and change.kind in ("add", "rename", "retype") else None
        if name and name.casefold() in {one.casefold() for one in standing} - leaving:
            kept = kept_name(name, version, taken)
            taken.add(kept.casefold())
            rooms.append((name, kept))
    return rooms


def rename_column(table: str, old: str, new: str) -> str:
    """Return the DDL that renames one column; ``table`` is quoted."""
    return f"alter table {table} rename column {quote(old)} to {quote(new)}"


def keep_table(spec: TableSpec, version: int, tables: Collection[str]) -> str:
    """Return the DDL that keeps the raw table under a name that none of ``tables`` has, so that it can be loaded anew."""
    kept = kept_name(spec.name, version, {name.casefold() for name in tables})
    return f"alter table {raw_table(spec)} rename to {quote(kept)}"


def kept_name(name: str, version: int, taken: Collection[str]) -> str:
    """Return the name under which a column or a table is kept from a schema version on; ``taken`` are folded names it must not have."""
    while f"{name}{OLDER}{version}".casefold() in taken:
        version += 1
    return f"{name}{OLDER}{version}"


def landed_view(load: StagedLoad) -> str:
    """Return the SELECT of all landed rows with their position (``filename``, ``file_row_number``)."""
    files = ", ".join("'" + parquet_pattern(file.path).replace("'", "''") + "'" for file in load.files)
    columns = ", ".join(quote(column.name) for column in load.columns)
    # The path's column has a name of ours: `filename` is a name that a table may well have.
    # A folder above that is called `day=…` is no column.
    options = "filename = '_daybreak_file', file_row_number = true, hive_partitioning = false"
    return f"select {columns}, _daybreak_file, file_row_number from read_parquet([{files}], {options})"


def accepted(load: StagedLoad) -> str:
    """Return the SELECT of the rows that are to be loaded: not stepped aside, not in a day that stands unchanged."""
    columns = ", ".join(f"landed.{quote(column.name)}" for column in load.columns)
    join = " anti join excluded using (_daybreak_file, file_row_number)" if load.quarantined else ""
    where = f" where {day} not in (select day from skipped)" if (day := _skipping(load)) else ""
    # A later chunk was read later: its version of a row wins.
    latest = f" qualify row_number() over (partition by {key_list(load.spec)} order by _daybreak_file desc, file_row_number desc) = 1"
    return f"select {columns} from landed{join}{where}{latest if load.may_repeat_keys else ''}"


def as_text(column: str, arrow_type: pa.DataType) -> str:
    """Return the SQL of a value's text as the quarantine has it; see ``sync.land.as_text``."""
    if pa.types.is_binary(arrow_type):
        return f"'\\x' || lower(hex({column}))"
    text = f"cast({column} as varchar)"
    is_dated = pa.types.is_date(arrow_type) or pa.types.is_timestamp(arrow_type)
    return f"regexp_replace({text}, ' ?\\(BC\\)(.*)$', '\\1 BC')" if is_dated else text


def day_of(load: StagedLoad, table: str = "") -> str:
    """Return the SQL of a row's day; ``table`` qualifies the column."""
    if load.spec.partition is None:
        raise ValueError(f"{load.spec.id} is not partitioned")
    column = next(column for column in load.columns if column.name == load.spec.partition.column)
    is_instant = pa.types.is_timestamp(column.arrow_type) and column.arrow_type.tz is not None
    return day_expression(f"{table}.{quote(column.name)}" if table else quote(column.name), is_instant, load.time_zone)


def _skipping(load: StagedLoad) -> str | None:
    return day_of(load) if load.skipped_days else None


def key_matches(load: StagedLoad, key: str, table: str) -> str:
    """Return the test that ``key`` (SQL of a JSON array of texts) is the key of a row of ``table``."""
    types = {column.name: column.arrow_type for column in load.columns}
    return " and ".join(
        f"json_extract_string({key}, '$[{number}]') = {as_text(f'{table}.{quote(name)}', types[name])}"
        for number, name in enumerate(load.spec.key)
    )


def key_list(spec: TableSpec, prefix: str = "") -> str:
    """Return the quoted key columns, each behind ``prefix``."""
    return ", ".join(f"{prefix}{quote(name)}" for name in spec.key)


def merge(load: StagedLoad) -> str:
    """Return the MERGE by key; a row that is equal in every landed column is not touched, unless it is marked: it is back."""
    on = _same_key(load, "staged")
    stamped = [f"{quote(name)} = staged.{quote(name)}" for name in _others(load)] + ["_load_id = $load_id", "_loaded_at = $loaded_at"]
    is_back = ""
    if load.watermark.has_marks:
        stamped.append(f"{DELETED_AT} = null")
        is_back = f" or target.{DELETED_AT} is not null"
    return (
        f"merge into {raw_table(load.spec)} as target using staged on {on} "
        f"when matched and ({_differs(load)}{is_back}) then update set {', '.join(stamped)} "
        f"when not matched then insert ({insert_columns(load)}) values ({_staged_values(load)}, $load_id, $loaded_at) "
        "returning merge_action"
    )


def _others(load: StagedLoad) -> list[str]:
    return [column.name for column in load.columns if column.name not in load.spec.key]


def _differs(load: StagedLoad) -> str:
    return " or ".join(f"target.{quote(name)} is distinct from staged.{quote(name)}" for name in _others(load)) or "false"


def count_unchanged(load: StagedLoad) -> str:
    """Return the count, after the MERGE, of staged rows that stand in the table as they were read, and not because of this load."""
    rows = f"{raw_table(load.spec)} as target join staged on {_same_key(load, 'staged')}"
    return f"select count(*) from {rows} where target._load_id is distinct from $load_id and not ({_differs(load)})"


def count_back(load: StagedLoad) -> str:
    """Return the count, before the MERGE, of staged rows that are marked as deleted."""
    rows = f"{raw_table(load.spec)} as target join staged on {_same_key(load, 'staged')}"
    return f"select count(*) from {rows} where target.{DELETED_AT} is not null"


def count_repeated(load: StagedLoad) -> str:
    """Return the count of good landed rows that are not the last version of their row."""
    good = f"landed{' anti join excluded using (_daybreak_file, file_row_number)' if load.quarantined else ''}"
    return f"select coalesce(sum(versions - 1), 0) from (select count(*) as versions from {good} group by {key_list(load.spec)})"


def fill(load: StagedLoad) -> str:
    """Return the UPDATE that gives rows the values of the filled columns, unless the row changed since it was loaded."""
    columns = [column.name for column in load.columns if column.name in load.plan.window.columns]
    stamped = [f"{quote(name)} = staged.{quote(name)}" for name in columns] + ["_load_id = $load_id", "_loaded_at = $loaded_at"]
    differs = " or ".join(f"target.{quote(name)} is distinct from staged.{quote(name)}" for name in columns)
    return f"update {raw_table(load.spec)} as target set {', '.join(stamped)} from staged where {_stands(load)} and ({differs}) returning 1"


def count_standing(load: StagedLoad) -> str:
    """Return the count of staged rows that stand in the table as they were read, but for the columns that are filled."""
    return f"select count(*) from {raw_table(load.spec)} as target join staged on {_stands(load)}"


def _stands(load: StagedLoad) -> str:
    cursor = quote(load.spec.cursor or "")
    # A row that is marked is read whole if it is back, and has no values to get if it is not.
    stands = f"target.{DELETED_AT} is null and " if load.watermark.has_marks else ""
    return f"{stands}{_same_key(load, 'staged')} and target.{cursor} is not distinct from staged.{cursor}"


def insert(load: StagedLoad) -> str:
    """Return the plain INSERT for tables without a key, and for tables that are still empty."""
    columns = ", ".join(quote(column.name) for column in load.columns)
    return f"insert into {raw_table(load.spec)} ({insert_columns(load)}) select {columns}, $load_id, $loaded_at from staged"


def insert_columns(load: StagedLoad) -> str:
    """Return the columns that a load fills."""
    return ", ".join([*(quote(column.name) for column in load.columns), "_load_id", "_loaded_at"])


def _staged_values(load: StagedLoad) -> str:
    return ", ".join(f"staged.{quote(column.name)}" for column in load.columns)


def delete_vanished(load: StagedLoad) -> str | None:
    """Return the DELETE of rows in the load's scope that the source has no more, or the UPDATE that marks them; None if it does neither.

    A row that stepped aside is still in the source, so its older version stays; but not in a day that the row has left.
    """
    scope = _scope(load)
    if scope is None:
        return None
    if not load.spec.key:
        return f"delete from {raw_table(load.spec)} where {scope}"
    found, match = "landed", _same_key(load, "landed")
    if load.spec.partition and load.quarantined and not load.plan.window.keys:
        found = "landed left join excluded using (_daybreak_file, file_row_number)"
        match += f" and (excluded.reason is null or {day_of(load, 'landed')} is not distinct from {day_of(load, 'target')})"
    where = f"{scope} and not exists (select 1 from {found} where {match})"
    if load.is_marking:
        marked = f"{DELETED_AT} = $loaded_at, _load_id = $load_id, _loaded_at = $loaded_at"
        return f"update {raw_table(load.spec)} as target set {marked} where target.{DELETED_AT} is null and {where}"
    return f"delete from {raw_table(load.spec)} as target where {where}"


def strayed_days(load: StagedLoad) -> str:
    """Return the SELECT of the days of rows that stand in another day than they were read in, which is NULL for no day."""
    day = day_of(load, "target")
    where = f"{day} is distinct from {day_of(load, 'landed')}"
    return f"select distinct {day} as day from {raw_table(load.spec)} target join landed on {_same_key(load, 'landed')} where {where}"


def _same_key(load: StagedLoad, rows: str) -> str:
    return " and ".join(f"target.{quote(name)} = {rows}.{quote(name)}" for name in load.spec.key)


def _scope(load: StagedLoad) -> str | None:
    if load.plan.window.keys:
        return f"exists (select 1 from asked where {key_matches(load, 'asked.key', 'target')})" if load.removes_missing else None
    if load.spec.mode == "incremental":
        return None
    if load.spec.mode == "snapshot":
        return "true"
    if load.plan.window.is_null:
        return f"{day_of(load)} is null"
    return f"{day_of(load)} in (select day from changed)"
