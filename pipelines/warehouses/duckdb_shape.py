"""Gives a raw table the columns of a load, inside the load's transaction. What a change may do at all is the engine's to say."""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pipelines.landing.scan import quote
from pipelines.sync import codec
from pipelines.sync.model import SchemaVersion, StagedLoad, Watermark
from pipelines.sync.schema import DELETED_AT, is_restart, raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import duckdb_marks
from pipelines.warehouses import duckdb_sql as sql
from pipelines.warehouses.duckdb_masks import names_ever_masked
from pipelines.warehouses.duckdb_quarantine import close_quarantine

Run = Callable[..., list[tuple[Any, ...]]]

_MINE = "source_name = $source and table_name = $table"
_FOLLOW = f"update daybreak.former_names set current_name = $now where {_MINE} and lower(current_name) = lower($was)"
_ACTUAL = "select column_name, data_type from duckdb_columns() where schema_name = $schema and table_name = $table"


def create_raw_table(run: Run, spec: TableSpec, schema: TableSchema) -> None:
    """Create the schema and the table of ``spec``, unless they are there."""
    run(f"create schema if not exists {sql.schema_name(spec)}")
    run(sql.create_table(spec, raw_columns(spec, schema)))


def record_version(run: Run, spec: TableSpec, version: SchemaVersion, load_id: str) -> None:
    """Note a version of the source's schema, and give the raw table its comments.

    On DuckDB the DDL is in the same transaction, so it is done at once.
    """
    run(
        "insert into daybreak.schema_versions (source_name, table_name, version, state, table_schema, load_id, recorded_at, changes) "
        "values ($source, $table, $version, 'done', $schema, $load_id, $now, $changes)",
        source=spec.source,
        table=spec.name,
        version=version.version,
        schema=codec.dump(codec.SCHEMA, version.schema),
        load_id=load_id,
        now=version.recorded_at,
        changes=json.dumps(version.changes, ensure_ascii=False),
    )
    run(f"comment on table {sql.raw_table(spec)} is {sql.literal(version.schema.comment)}")
    for column in raw_columns(spec, version.schema):
        run(f"comment on column {sql.raw_table(spec)}.{quote(column.name)} is {sql.literal(column.comment)}")


def fit_table(run: Run, load: StagedLoad, before: Watermark | None, *, is_remade: bool) -> None:
    """Create or alter the raw table. ``is_remade``: masks may have changed, so what was readable before must not stay."""
    spec, table = load.spec, sql.raw_table(load.spec)
    if room := duckdb_marks.make_room(run, load, before):
        run(_FOLLOW, was=room[0], now=room[1], **_names(load))
    standing = _columns(run, load)
    if is_restart(spec, load.changes):
        _begin_anew(run, load, standing)
    else:
        create_raw_table(run, spec, load.plan.schema)
        for statement in sql.apply_changes(spec, load.changes, load.plan.schema_version, _columns(run, load)):
            run(statement)
        _remember_names(run, load, standing)
    duckdb_marks.add_column(run, load)
    actual = _columns(run, load)
    if is_remade:
        masked = {name.casefold() for name in names_ever_masked(run, load)}
        for name in (name for name in actual if _must_go(load, name, masked)):
            run(f"alter table {table} drop column {quote(name)}")
    was_hashed = {name for name, mask in ((before and before.masks) or {}).items() if mask == "hmac"}
    for column in load.columns:
        found, wanted = actual.get(column.name.casefold()), sql.duckdb_type(column.arrow_type)
        # Rows that are not read again, as they are gone from the source, would keep clear text, or hashes beside it.
        is_other = found != _type_name(run, wanted) or spec.masks.get(column.name) == "hmac" or column.name in was_hashed
        if found and is_remade and is_other:
            run(f"alter table {table} drop column {quote(column.name)}")
            found = None
        if not found:
            run(f"alter table {table} add column {quote(column.name)} {wanted}")


def _begin_anew(run: Run, load: StagedLoad, standing: Mapping[str, str]) -> None:
    """Keep the raw table under another name and make an empty one, with nothing committed of it.

    Columns that the source dropped are there too, without values, because models may name them.
    """
    spec, table = load.spec, sql.raw_table(load.spec)
    tables = run("select table_name from duckdb_tables() where schema_name = $schema", schema=f"raw_{spec.source}")
    run(sql.keep_table(spec, load.plan.schema_version, [name for (name,) in tables]))
    create_raw_table(run, spec, load.plan.schema)
    there = _columns(run, load)
    for name, kind in standing.items():
        if name not in there and not re.search(rf"{sql.OLDER}\d+$", name):
            run(f"alter table {table} add column {quote(name)} {kind}")
    _remember_names(run, load, ())
    run(f"delete from daybreak.windows where {_MINE}", **_names(load))
    close_quarantine(run, load)


def _must_go(load: StagedLoad, column: str, masked: Collection[str]) -> bool:
    """Whether a column (its name folded) must go: a mask drops it, or it is an older one of a column that is masked now."""
    if column in ("_load_id", "_loaded_at") or (column == DELETED_AT and load.watermark.has_marks):
        return False  # the engine's: a mask of that name leaves out the source's
    is_older = column not in {name.casefold() for name in load.spec.masks} and column not in {one.name.casefold() for one in load.columns}
    is_dropped = column in {name.casefold() for name, kind in load.spec.masks.items() if kind == "drop"}
    return is_dropped or (is_older and re.sub(rf"{sql.OLDER}\d+$", "", column) in masked)


def _remember_names(run: Run, load: StagedLoad, standing: Collection[str]) -> None:
    """Note what renamed columns were called. Two that swap their names go through a name that nobody has."""
    for was, kept in sql.make_room(load.changes, load.plan.schema_version, standing):
        run(_FOLLOW, now=kept, was=was, **_names(load))
    renames = [
        (change.before.name, change.after.name) for change in load.changes if change.before and change.after and change.kind == "rename"
    ]
    for was, now in renames:
        run(_FOLLOW, now=f"_moving_{now}", was=was, **_names(load))
    for was, now in renames:
        run(_FOLLOW, now=now, was=f"_moving_{now}", **_names(load))
        run(f"delete from daybreak.former_names where {_MINE} and lower(former_name) = lower($was)", was=was, **_names(load))
        run("insert into daybreak.former_names values ($source, $table, $was, $now)", was=was, now=now, **_names(load))


def _names(load: StagedLoad) -> dict[str, str]:
    return {"source": load.spec.source, "table": load.spec.name}


def _columns(run: Run, load: StagedLoad) -> dict[str, str]:
    return {name.casefold(): kind for name, kind in run(_ACTUAL, schema=f"raw_{load.spec.source}", table=load.spec.name)}


def _type_name(run: Run, type_: str) -> str:
    return str(run(f"select typeof(null::{type_})")[0][0])
