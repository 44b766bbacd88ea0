"""Gives a raw table the columns of a load. What a change may do at all is the engine's to say."""

import json
from collections.abc import Collection, Mapping

from pipelines.names import first_name
from pipelines.sync import codec
from pipelines.sync.model import SchemaVersion, StagedLoad, Watermark
from pipelines.sync.schema import DELETED_AT, is_restart, raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import load_ddl as ddl
from pipelines.warehouses import load_marks
from pipelines.warehouses.dialect import OF_TABLE, Later, Run, names_of
from pipelines.warehouses.load_fence import overtaken
from pipelines.warehouses.load_masks import names_ever_masked, read_schemas
from pipelines.warehouses.load_quarantine import close_quarantine

_FOLLOW = f"update daybreak.former_names set current_name = $now where {OF_TABLE} and lower(current_name) = lower($was)"


def create_raw_table(run: Run, spec: TableSpec, schema: TableSchema) -> None:
    """Create the schema and the table of ``spec``, unless they are there."""
    run.make_schema(spec)
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
    for statement in run.dialect.comments(run.dialect.raw_table(spec), schema.comment, raw_columns(spec, schema)):
        run(statement)


def fit_table(run: Run, later: Later, load: StagedLoad, before: Watermark | None, *, is_remade: bool) -> None:
    """Create or alter the raw table, and note ``later`` what the load's transaction has to say of that.

    ``is_remade``: masks may have changed, so what was readable before must not stay.
    """
    spec, to = load.spec, run.dialect
    table = to.raw_table(spec)
    if room := load_marks.make_room(run, load, before):
        later(_FOLLOW, was=room[0], now=room[1], **names_of(load.spec))
    actual = _fit_columns(run, later, load)
    load_marks.add_column(run, load, actual)
    if is_remade:
        masked = {name.casefold() for name in names_ever_masked(run, load)}
        for name in (stored for name, (stored, _) in actual.items() if _must_go(load, name, masked)):
            run(ddl.drop_column(to, table, name))
    was_hashed = {name for name, mask in ((before and before.masks) or {}).items() if mask == "hmac"}
    for column in load.columns:
        stored, found = actual.get(column.name.casefold(), (column.name, None))
        wanted = to.type_of(column.arrow_type)
        # Rows that are not read again, as they are gone from the source, would keep clear text, or hashes beside it.
        is_other = found != run.type_name(wanted) or spec.masks.get(column.name) == "hmac" or column.name in was_hashed
        if found and is_remade and is_other:
            run(ddl.drop_column(to, table, stored))
            found = None
        if not found:
            run(ddl.add_column(to, table, column.name, wanted))


def _fit_columns(run: Run, later: Later, load: StagedLoad) -> dict[str, tuple[str, str]]:
    """Make the table, or do to its columns what was done to the source's; return them. A table that fits is asked once."""
    spec, version = load.spec, load.plan.schema_version
    standing = find_standing(run, load)
    if is_restart(spec, load.changes):
        _begin_anew(run, later, load, standing)
        return _columns(run, load)
    _remember_names(later, load, standing)
    there = standing
    if not there:
        create_raw_table(run, spec, load.plan.schema)
        there = _columns(run, load)
    if not run.is_unseen and ddl.make_room(load.changes, version, there):
        raise overtaken(load)  # a column that was not there stands by now: another run's, with its values
    statements = ddl.apply_changes(run.dialect, spec, load.changes, version, there)
    for statement in statements:
        run(statement)
    return _columns(run, load) if statements else there


def find_standing(run: Run, load: StagedLoad) -> dict[str, tuple[str, str]]:
    """Return the raw table's columns as ``_columns``, without those that a load which died has added, where DDL stays.

    They are told by that no committed schema has ever had them, so no row has a value in them; the load that comes takes them over.
    """
    found = _columns(run, load)
    if not load.changes or not ddl.make_room(load.changes, load.plan.schema_version, found):
        return found
    known = {column.name.casefold() for schema in read_schemas(run, load).values() for column in schema.columns}
    new = {change.after.name.casefold(): change.after for change in load.changes if change.kind == "add" and change.after}
    types = {name: run.type_name(run.dialect.type_of(column.arrow_type)) for name, column in new.items()}
    return {name: (stored, kind) for name, (stored, kind) in found.items() if name in known or types.get(name) != kind}


def _begin_anew(run: Run, later: Later, load: StagedLoad, standing: Mapping[str, tuple[str, str]]) -> None:
    """Keep the raw table under another name and make an empty one, with nothing committed of it.

    Columns that the source dropped are there too, without values, because models may name them.
    """
    spec, to = load.spec, run.dialect
    run.clear_name(spec, load.plan.schema_version)
    create_raw_table(run, spec, load.plan.schema)
    there = _columns(run, load)
    for name, (stored, kind) in standing.items():
        if name not in there and not ddl.is_older(name):
            run(ddl.add_column(to, to.raw_table(spec), stored, kind))
    _remember_names(later, load, ())
    later(f"delete from daybreak.windows where {OF_TABLE}", **names_of(load.spec))
    close_quarantine(later, load)


def _must_go(load: StagedLoad, column: str, masked: Collection[str]) -> bool:
    """Whether a column (its name folded) must go: a mask drops it, or it is an older one of a column that is masked now."""
    if column in ("_load_id", "_loaded_at") or (column == DELETED_AT and load.watermark.has_marks):
        return False  # the engine's: a mask of that name leaves out the source's
    is_older = column not in {name.casefold() for name in load.spec.masks} and column not in {one.name.casefold() for one in load.columns}
    is_dropped = column in {name.casefold() for name, kind in load.spec.masks.items() if kind == "drop"}
    return is_dropped or (is_older and first_name(column) in masked)


def _remember_names(later: Later, load: StagedLoad, standing: Collection[str]) -> None:
    """Note what renamed columns were called. Two that swap their names go through a name that nobody has."""
    for was, kept in ddl.make_room(load.changes, load.plan.schema_version, standing):
        later(_FOLLOW, now=kept, was=was, **names_of(load.spec))
    renames = [
        (change.before.name, change.after.name) for change in load.changes if change.before and change.after and change.kind == "rename"
    ]
    for was, now in renames:
        later(_FOLLOW, now=f"_moving_{now}", was=was, **names_of(load.spec))
    for was, now in renames:
        later(_FOLLOW, now=now, was=f"_moving_{now}", **names_of(load.spec))
        later(f"delete from daybreak.former_names where {OF_TABLE} and lower(former_name) = lower($was)", was=was, **names_of(load.spec))
        later("insert into daybreak.former_names values ($source, $table, $was, $now)", was=was, now=now, **names_of(load.spec))


def _columns(run: Run, load: StagedLoad) -> dict[str, tuple[str, str]]:
    """Return the raw table's columns by their folded names: the name as it stands, and the type."""
    return {name.casefold(): (name, kind) for name, kind in run.columns(load.spec).items()}
