"""Gives a raw table the columns of a load. What a change may do at all is the engine's to say."""

import json
import re
from collections.abc import Collection, Mapping

from pipelines.sync import codec
from pipelines.sync.model import SchemaVersion, StagedLoad, Watermark
from pipelines.sync.schema import DELETED_AT, is_restart, raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import load_ddl as ddl
from pipelines.warehouses import load_marks
from pipelines.warehouses.dialect import Later, Run
from pipelines.warehouses.load_masks import names_ever_masked
from pipelines.warehouses.load_quarantine import close_quarantine

_MINE = "source_name = $source and table_name = $table"
_FOLLOW = f"update daybreak.former_names set current_name = $now where {_MINE} and lower(current_name) = lower($was)"


def create_raw_table(run: Run, spec: TableSpec, schema: TableSchema) -> None:
    """Create the schema and the table of ``spec``, unless they are there."""
    run(f"create schema if not exists {run.dialect.schema_name(spec)}")
    run(ddl.create_table(run.dialect, spec, raw_columns(spec, schema)))


def record_version(run: Run | Later, spec: TableSpec, version: SchemaVersion, load_id: str) -> None:
    """Note a version of the source's schema."""
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


def comment_on(run: Run, spec: TableSpec, schema: TableSchema) -> None:
    """Give the raw table the source's comments."""
    table = run.dialect.raw_table(spec)
    run(f"comment on table {table} is {run.dialect.comment(schema.comment)}")
    for column in raw_columns(spec, schema):
        run(f"comment on column {table}.{run.dialect.quote(column.name)} is {run.dialect.comment(column.comment)}")


def fit_table(run: Run, later: Later, load: StagedLoad, before: Watermark | None, *, is_remade: bool) -> None:
    """Create or alter the raw table, and note ``later`` what the load's transaction has to say of that.

    ``is_remade``: masks may have changed, so what was readable before must not stay.
    """
    spec, to = load.spec, run.dialect
    table = to.raw_table(spec)
    if room := load_marks.make_room(run, load, before):
        later(_FOLLOW, was=room[0], now=room[1], **_names(load))
    standing = _columns(run, load)
    if is_restart(spec, load.changes):
        _begin_anew(run, later, load, standing)
    else:
        create_raw_table(run, spec, load.plan.schema)
        for statement in ddl.apply_changes(to, spec, load.changes, load.plan.schema_version, _columns(run, load)):
            run(statement)
        _remember_names(later, load, standing)
    load_marks.add_column(run, load)
    actual = _columns(run, load)
    if is_remade:
        masked = {name.casefold() for name in names_ever_masked(run, load)}
        for name in (name for name in actual if _must_go(load, name, masked)):
            run(ddl.drop_column(to, table, name))
    was_hashed = {name for name, mask in ((before and before.masks) or {}).items() if mask == "hmac"}
    for column in load.columns:
        found, wanted = actual.get(column.name.casefold()), to.type_of(column.arrow_type)
        # Rows that are not read again, as they are gone from the source, would keep clear text, or hashes beside it.
        is_other = found != run.type_name(wanted) or spec.masks.get(column.name) == "hmac" or column.name in was_hashed
        if found and is_remade and is_other:
            run(ddl.drop_column(to, table, column.name))
            found = None
        if not found:
            run(ddl.add_column(to, table, column.name, wanted))


def _begin_anew(run: Run, later: Later, load: StagedLoad, standing: Mapping[str, str]) -> None:
    """Keep the raw table under another name and make an empty one, with nothing committed of it.

    Columns that the source dropped are there too, without values, because models may name them.
    """
    spec, to = load.spec, run.dialect
    run.keep_table(spec, load.plan.schema_version)
    create_raw_table(run, spec, load.plan.schema)
    there = _columns(run, load)
    for name, kind in standing.items():
        if name not in there and not re.search(rf"{ddl.OLDER}\d+$", name):
            run(ddl.add_column(to, to.raw_table(spec), name, kind))
    _remember_names(later, load, ())
    later(f"delete from daybreak.windows where {_MINE}", **_names(load))
    close_quarantine(later, load)


def _must_go(load: StagedLoad, column: str, masked: Collection[str]) -> bool:
    """Whether a column (its name folded) must go: a mask drops it, or it is an older one of a column that is masked now."""
    if column in ("_load_id", "_loaded_at") or (column == DELETED_AT and load.watermark.has_marks):
        return False  # the engine's: a mask of that name leaves out the source's
    is_older = column not in {name.casefold() for name in load.spec.masks} and column not in {one.name.casefold() for one in load.columns}
    is_dropped = column in {name.casefold() for name, kind in load.spec.masks.items() if kind == "drop"}
    return is_dropped or (is_older and re.sub(rf"{ddl.OLDER}\d+$", "", column) in masked)


def _remember_names(later: Later, load: StagedLoad, standing: Collection[str]) -> None:
    """Note what renamed columns were called. Two that swap their names go through a name that nobody has."""
    for was, kept in ddl.make_room(load.changes, load.plan.schema_version, standing):
        later(_FOLLOW, now=kept, was=was, **_names(load))
    renames = [
        (change.before.name, change.after.name) for change in load.changes if change.before and change.after and change.kind == "rename"
    ]
    for was, now in renames:
        later(_FOLLOW, now=f"_moving_{now}", was=was, **_names(load))
    for was, now in renames:
        later(_FOLLOW, now=now, was=f"_moving_{now}", **_names(load))
        later(f"delete from daybreak.former_names where {_MINE} and lower(former_name) = lower($was)", was=was, **_names(load))
        later("insert into daybreak.former_names values ($source, $table, $was, $now)", was=was, now=now, **_names(load))


def _names(load: StagedLoad) -> dict[str, str]:
    return {"source": load.spec.source, "table": load.spec.name}


def _columns(run: Run, load: StagedLoad) -> dict[str, str]:
    return {name.casefold(): kind for name, kind in run.columns(load.spec).items()}
