"""What a sync makes of the source's schema now: where the table is, and which moves the contract and people allow."""

from dataclasses import replace

from pipelines.errors import TableMissing
from pipelines.sync.context import Engine
from pipelines.sync.protocols import Source
from pipelines.sync.schema import Known, check_names, plan_changes
from pipelines.sync.shape import SchemaChange, TableSchema
from pipelines.sync.spec import TableSpec


def describe_table(source: Source, spec: TableSpec, known: TableSchema | None) -> tuple[TableSpec, TableSchema]:
    """Return the table's schema now, and the entry by which it can be read: one that is ``known`` may have another name since.

    Raises ``PrerequisiteError`` if it is gone, lacks a declared column, or has columns that the warehouse cannot tell apart.
    """
    try:
        schema = source.describe(spec)
    except TableMissing:
        name = source.find_relation(spec, known.identity) if known else None
        if name is None:
            raise
        spec = replace(spec, followed=name)
        schema = source.describe(spec)
    check_names(spec, schema)
    return spec, schema


def changes_of(engine: Engine, spec: TableSpec, schema: TableSchema) -> tuple[SchemaChange, ...]:
    """Return the moves from the table's last committed schema to ``schema``. Raises ``SchemaRefused`` if a person must allow them."""
    return plan_changes(spec, Known(engine.mirror.schema(spec.id), engine.mirror.approvals(spec.id)), schema)
