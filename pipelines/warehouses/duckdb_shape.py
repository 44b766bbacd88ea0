"""Gives a raw table the columns of a load, inside the load's transaction. What a change may do at all is the engine's to say."""

import json
import re
from collections.abc import Callable
from typing import Any

from pipelines.landing.scan import quote
from pipelines.sync import codec
from pipelines.sync.model import SchemaVersion, StagedLoad
from pipelines.sync.schema import is_restart, raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import duckdb_sql as sql
from pipelines.warehouses.duckdb_quarantine import close_quarantine

Run = Callable[..., list[tuple[Any, ...]]]

_MINE = "source_name = $source and table_name = $table"
_FOLLOW = f"update daybreak.former_names set current_name = $now where {_MINE} and current_name = $was"
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


def fit_table(run: Run, load: StagedLoad, is_remade: bool) -> None:
    """Create or alter the raw table. ``is_remade``: masks may have changed, so what was readable before must not stay."""
    spec, table = load.spec, sql.raw_table(load.spec)
    is_anew = is_restart(spec, load.changes)
    if not is_anew:
        create_raw_table(run, spec, load.plan.schema)
        _make_room(run, load)
    for statement in sql.apply_changes(spec, load.changes, load.plan.schema_version):
        run(statement)
    if is_anew:
        create_raw_table(run, spec, load.plan.schema)
        run(f"delete from daybreak.former_names where {_MINE}", **_names(load))
        close_quarantine(run, load)
    else:
        _remember_names(run, load)
    actual = _columns(run, load)
    if is_remade:
        for name in (name for name in actual if _is_masked(load, name)):
            run(f"alter table {table} drop column {quote(name)}")
    for column in load.columns:
        found, wanted = actual.get(column.name.casefold()), sql.duckdb_type(column.arrow_type)
        if found and is_remade and (found != _type_name(run, wanted) or spec.masks.get(column.name) == "hmac"):
            run(f"alter table {table} drop column {quote(column.name)}")
            found = None
        if not found:
            run(f"alter table {table} add column {quote(column.name)} {wanted}")


def _is_masked(load: StagedLoad, column: str) -> bool:
    """Whether a column (its name folded) must go: a mask drops it, or it is an older one whose name a masked one has now."""
    folded = {name.casefold(): mask for name, mask in load.spec.masks.items()}
    older = re.fullmatch(rf"(.+){sql.OLDER}\d+", column, re.DOTALL)
    return folded.get(column) == "drop" or bool(older and older[1] in folded and column not in folded)


def _make_room(run: Run, load: StagedLoad) -> None:
    """Rename a column that the source dropped earlier and whose name now belongs to another one; its values are kept."""
    actual = _columns(run, load)
    renamed = {change.before.name.casefold() for change in load.changes if change.before and change.kind == "rename"}
    leaving = renamed | {change.displaced.casefold() for change in load.changes if change.displaced}
    for change in load.changes:
        name = change.after.name if change.after and change.kind in ("add", "rename", "retype") else ""
        if name.casefold() in actual and name.casefold() not in leaving:
            kept = sql.kept_name(name, load.plan.schema_version)
            run(f"alter table {sql.raw_table(load.spec)} rename column {quote(name)} to {quote(kept)}")
            run(_FOLLOW, now=kept, was=name, **_names(load))


def _remember_names(run: Run, load: StagedLoad) -> None:
    """Note what renamed columns were called. Two that swap their names go through a name that nobody has."""
    renames = [
        (change.before.name, change.after.name) for change in load.changes if change.before and change.after and change.kind == "rename"
    ]
    for was, now in renames:
        run(_FOLLOW, now=f"_moving_{now}", was=was, **_names(load))
    for was, now in renames:
        run(_FOLLOW, now=now, was=f"_moving_{now}", **_names(load))
        run(f"delete from daybreak.former_names where {_MINE} and former_name = $was", was=was, **_names(load))
        run("insert into daybreak.former_names values ($source, $table, $was, $now)", was=was, now=now, **_names(load))


def _names(load: StagedLoad) -> dict[str, str]:
    return {"source": load.spec.source, "table": load.spec.name}


def _columns(run: Run, load: StagedLoad) -> dict[str, str]:
    return {name.casefold(): kind for name, kind in run(_ACTUAL, schema=f"raw_{load.spec.source}", table=load.spec.name)}


def _type_name(run: Run, type_: str) -> str:
    return str(run(f"select typeof(null::{type_})")[0][0])
