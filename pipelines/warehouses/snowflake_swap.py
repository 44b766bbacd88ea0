"""Loads that change a raw table's columns, on a warehouse whose DDL cannot be undone.

Such a load is made in a copy of the table, beside it, and its transaction notes that the copy is to take the table's place. The two
are swapped in one step after the COMMIT. A crash before that leaves a copy that nobody names, which the next load drops; a crash
after it leaves the note, and whoever works on the table next does the swap. A mark on the copy tells whether that has happened.
"""

import re

from pipelines.sync import codec
from pipelines.sync.model import StagedLoad
from pipelines.sync.plan import is_reread
from pipelines.sync.schema import is_restart
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import load_ddl
from pipelines.warehouses.snowflake_access import SnowflakeRun

BESIDE = "_daybreak_"
_MINE = "source_name = $source and table_name = $table"


def make_beside(run: SnowflakeRun, load: StagedLoad) -> str | None:
    """Copy the raw table, if the load does more to it than add columns; return the suffix of the copy's name."""
    spec, tables = load.spec, run.tables(load.spec)
    _drop_orphans(run, load, tables)
    if run.dialect.stored(spec.name) not in tables or not _is_needed(run, load):
        return None
    suffix = f"{BESIDE}{load.token}"  # its own: a run that was overtaken and does not know it yet makes another one
    copy = run.beside(suffix).dialect.raw_table(spec)
    run(f"create or replace transient table {copy} clone {run.dialect.raw_table(spec)} copy grants")
    run(f"comment on column {copy}.{run.dialect.quote('_load_id')} is {run.dialect.comment(_mark(load.plan.load_id))}")
    return suffix


def note_swap(run: SnowflakeRun, load: StagedLoad, suffix: str) -> None:
    """Note, in the load's transaction, that the copy is to take the raw table's place."""
    spec, kept_as = load.spec, None
    if is_restart(spec, load.changes):
        kept_as = load_ddl.kept_name(spec.name, load.plan.schema_version, {name.casefold() for name in run.tables(spec)})
    run(
        "insert into daybreak.swaps (source_name, table_name, load_id, suffix, kept_as) "
        "values ($source, $table, $load_id, $suffix, $kept_as)",
        load_id=load.plan.load_id,
        suffix=suffix,
        kept_as=kept_as,
        **_names(spec),
    )


def finish_swaps(run: SnowflakeRun, spec: TableSpec) -> None:
    """Do what committed loads of a table have left to do. Each step can be repeated."""
    for load_id, suffix, kept_as in run(f"select load_id, suffix, kept_as from daybreak.swaps where {_MINE}", **_names(spec)):
        to, beside = run.dialect, run.beside(suffix).dialect
        if _mark_of(run, spec) != _mark(load_id):
            run(f"alter table {to.raw_table(spec)} swap with {beside.raw_table(spec)}")
        if not kept_as:
            _drop(run, beside.raw_table(spec))
        elif beside.stored(spec.name) in run.tables(spec):
            run(f"alter table {beside.raw_table(spec)} rename to {to.schema_name(spec)}.{to.quote(kept_as)}")
        run(f"delete from daybreak.swaps where {_MINE} and load_id = $load_id", load_id=load_id, **_names(spec))


def _is_needed(run: SnowflakeRun, load: StagedLoad) -> bool:
    if any(change.kind not in ("add", "drop") for change in load.changes):
        return True
    if load_ddl.make_room(load.changes, load.plan.schema_version, list(run.columns(load.spec))):
        return True
    stored = run(f"select watermark from daybreak.watermarks where {_MINE}", **_names(load.spec))
    before = codec.WATERMARK.validate_json(stored[0][0]) if stored and stored[0][0] else None
    is_marked_now = load.watermark.has_marks and not (before and before.has_marks)
    return is_marked_now or is_reread(load.spec, before, (), load.plan.mask_key_id)


def _drop_orphans(run: SnowflakeRun, load: StagedLoad, tables: list[str]) -> None:
    """Drop copies that no COMMIT named; those of swaps that are left to do were taken care of before."""
    is_copy = re.compile(rf"{re.escape(load.spec.name + BESIDE)}(\d+)", re.IGNORECASE)
    for name in tables:
        found = is_copy.fullmatch(name)
        if found and int(found[1]) < load.token:
            _drop(run, f"{run.dialect.schema_name(load.spec)}.{run.dialect.quote(name)}")


def _drop(run: SnowflakeRun, table: str) -> None:
    """Drop a copy, without the day in which it could be had back: it may have what must not stay."""
    run(f"alter table if exists {table} set data_retention_time_in_days = 0")
    run(f"drop table if exists {table}")


def _mark(load_id: str) -> str:
    return f"Made by load {load_id}."


def _mark_of(run: SnowflakeRun, spec: TableSpec) -> str | None:
    found = run(
        "select comment from information_schema.columns where table_schema = $schema and table_name = $name and column_name = '_LOAD_ID'",
        schema=run.dialect.stored(f"raw_{spec.source}"),
        name=run.dialect.stored(spec.name),
    )
    return found[0][0] if found else None


def _names(spec: TableSpec) -> dict[str, str]:
    return {"source": spec.source, "table": spec.name}
