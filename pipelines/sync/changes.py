"""What a sync makes of the source's schema now: where the table is, and which moves the contract and people allow."""

from dataclasses import replace

from pipelines.errors import PrerequisiteError, SchemaRefused, TableMissing
from pipelines.state.mirror import Mirror
from pipelines.sync.context import Engine
from pipelines.sync.protocols import Source
from pipelines.sync.schema import Known, check_names, follow_names, names_now, plan_changes
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.spec import TableSpec


def describe_table(source: Source, spec: TableSpec, known: TableSchema | None) -> tuple[TableSpec, TableSchema]:
    """Return the table's schema now, and the entry by which it can be read: one that is ``known`` may have another name since.

    Raises ``PrerequisiteError`` if it is gone, lacks a declared column, or has columns that the warehouse cannot tell apart.
    """
    try:
        schema = source.describe(spec)
    except TableMissing:
        found = follow_table(source, spec, known)
        if found is None:
            raise
        spec, schema = found, source.describe(found)
    except PrerequisiteError as error:
        told = _tell_names(source, spec, known)
        if not told:
            raise
        raise PrerequisiteError([*error.problems, *told], safe=error.safe, remedy=error.remedy) from error
    _refuse_namesake(source, spec, known, schema)
    check_names(spec, schema)
    return spec, schema


def follow_table(source: Source, spec: TableSpec, known: TableSchema | None) -> TableSpec | None:
    """Return the entry with the name that a ``known`` table has now; None if it is gone."""
    name = source.find_relation(spec, known.identity) if known else None
    return replace(spec, followed=name) if name else None


def _refuse_namesake(source: Source, spec: TableSpec, known: TableSchema | None, schema: TableSchema) -> None:
    """Raise ``PrerequisiteError`` if the table that was loaded is called otherwise now, and another one has its name.

    Rows of both would be mixed. A snapshot is replaced as a whole, and an entry that says ``relation`` means what it says.
    """
    if known is None or spec.relation or spec.mode == "snapshot" or known.identity == schema.identity:
        return
    if name := source.find_relation(spec, known.identity):
        raise PrerequisiteError(
            [f"{spec.id}: the table that was loaded is called `{name}` now, and another one is called `{spec.name}`."],
            safe="Nothing was written; the last load stands.",
            remedy=f"Say which one is meant in the entry `{spec.name}`: `relation: {name}` goes on with it, `relation: {spec.name}` reads "
            "the other one as a whole over it. Or give the other one an entry of its own.",
        )


def refuse_bare_masks(mirror: Mirror, spec: TableSpec, schema: TableSchema) -> None:
    """Raise ``SchemaRefused`` if a column that is masked in the warehouse has another name since, and no mask under that.

    By name alone it would land in clear. To take a mask off, sync once with the new name, then without the mask.
    """
    known, watermark = mirror.schema(spec.id), mirror.status(spec.id).watermark
    if known is None or watermark is None or known.identity != schema.identity:
        return
    masks = spec.masks if watermark.masks is None else watermark.masks
    today = {column.identity: column.name for column in schema.columns if column.identity is not None}
    was = {one.name: today[one.identity] for one in known.columns if one.name in masks and one.identity in today}
    if bare := {name: now for name, now in was.items() if now != name and now not in spec.masks}:
        raise SchemaRefused(
            "; ".join(f"the masked column `{name}` is now called `{now}`, which has no mask" for name, now in bare.items()),
            safe="Nothing was read; the last load stands.",
            remedy=f"Write the masks of `{spec.name}` under the columns' names of now: {', '.join(bare.values())}.",
            table=spec.id,
        )


def follow_gates(engine: Engine, spec: TableSpec, schema: TableSchema) -> TableSpec:
    """Return the entry as its gates are judged: an expectation goes with its column if that has another name since."""
    history = [version.schema for version in engine.mirror.schema_history(spec.id)] if spec.expectations else []
    return follow_names(spec, names_now(history, schema))


def _tell_names(source: Source, spec: TableSpec, known: TableSchema | None) -> list[str]:
    """Return what declared columns that are not there are called now, as far as the table is known, as sentences."""
    if known is None:
        return []
    bare = replace(spec, key=(), cursor=None, partition=None, masks={}, mode="snapshot")
    try:
        names = names_now([known], source.describe(bare))
    except PrerequisiteError:
        return []
    declared = [*spec.key, *([spec.cursor] if spec.cursor else []), *([spec.partition.column] if spec.partition else []), *spec.masks]
    return [
        f"`{name}` is now called `{names[name]}`: write that in the entry `{spec.name}`."
        for name in dict.fromkeys(declared)
        if name in names
    ]


def changes_of(engine: Engine, spec: TableSpec, schema: TableSchema) -> tuple[SchemaChange, ...]:
    """Return the moves from the table's last committed schema to ``schema``. Raises ``SchemaRefused`` if a person must allow them."""
    refuse_bare_masks(engine.mirror, spec, schema)
    return plan_changes(spec, known_of(engine.mirror, spec), schema)


def known_of(mirror: Mirror, spec: TableSpec) -> Known:
    """Return what is known of a table's schema."""
    return Known(mirror.schema(spec.id), mirror.status(spec.id).schema_version, mirror.approvals(spec.id))
