"""Takes out of the warehouse, inside a load's transaction, what could be read before a column was masked.

The raw table's own columns are ``duckdb_shape``'s; the file's unused blocks are ``Warehouse.erase_traces``'s.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

from pipelines.landing.scan import quote
from pipelines.sync import codec
from pipelines.sync.model import StagedLoad
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import duckdb_sql as sql

Run = Callable[..., list[tuple[Any, ...]]]

_COLUMNS = "select column_name from duckdb_columns() where schema_name = $schema and table_name = $table"
MASKED = "(masked)"
_MINE = "source_name = $source and table_name = $table"


def redact_table(run: Run, load: StagedLoad, now: datetime) -> None:
    """Mask the quarantine's entries of earlier loads, forget the defaults of masked columns, and note that there are traces."""
    if not load.spec.masks:
        return
    names = {"source": load.spec.source, "table": load.spec.name}
    schemas = _read_schemas(run, load)
    masked = _names_ever(load, schemas.values())
    _redact_quarantine(run, load, masked)
    for table in find_kept_tables(run, load.spec):
        columns = run(_COLUMNS, schema=f"raw_{load.spec.source}", table=table)
        for name in (name for (name,) in columns if re.sub(rf"{sql.OLDER}\d+$", "", name) in masked):
            run(f"alter table {sql.schema_name(load.spec)}.{quote(table)} drop column {quote(name)}")
    for version, schema in schemas.items():
        cleaned = _without_defaults(schema, masked)
        if cleaned != schema:
            set_schema = "update daybreak.schema_versions set table_schema = $schema"
            run(f"{set_schema} where {_MINE} and version = $version", **names, version=version, schema=codec.dump(codec.SCHEMA, cleaned))
    for name in sorted(masked):  # what was told of a column's default is a value of it
        told = "list_filter(changes::varchar[], lambda told: not starts_with(told, $default))"
        run(f"update daybreak.schema_versions set changes = to_json({told}) where {_MINE}", **names, default=f"the default of {name} is")
    run("insert into daybreak.traces values ($source, $table, $now, null)", **names, now=now)


def find_kept_tables(run: Run, spec: TableSpec) -> list[str]:
    """Return the names of what the raw table was before its key became one of another kind; see ``duckdb_sql.kept_name``."""
    is_kept = "starts_with(table_name, $prefix) and regexp_full_match(substr(table_name, length($prefix) + 1), '[0-9]+')"
    query = f"select table_name from duckdb_tables() where schema_name = $schema and {is_kept} order by 1"
    return [name for (name,) in run(query, schema=f"raw_{spec.source}", prefix=spec.name + sql.OLDER)]


def names_ever_masked(run: Run, load: StagedLoad) -> set[str]:
    """Return the masked columns' names, and those that they had in any schema of the table."""
    return _names_ever(load, _read_schemas(run, load).values())


def _read_schemas(run: Run, load: StagedLoad) -> dict[int, TableSchema]:
    versions = run(
        f"select version, table_schema from daybreak.schema_versions where {_MINE}", source=load.spec.source, table=load.spec.name
    )
    return {int(version): codec.SCHEMA.validate_json(text) for version, text in versions}


def _names_ever(load: StagedLoad, schemas: Iterable[TableSchema]) -> set[str]:
    """Return the masked columns' names, and those that they had before the source renamed them."""
    now = load.plan.schema
    identities = {column.identity for column in now.columns if column.name in load.spec.masks and column.identity is not None}
    former = {
        column.name for schema in schemas if schema.identity == now.identity for column in schema.columns if column.identity in identities
    }
    return former | set(load.spec.masks)


def _redact_quarantine(run: Run, load: StagedLoad, columns: Iterable[str]) -> None:
    for name in sorted(columns):
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        run(
            "update daybreak.quarantine set original = json_merge_patch(original, $patch) "
            f"where {_MINE} and json_exists(original, $pointer) and load_id <> $load_id",
            source=load.spec.source,
            table=load.spec.name,
            patch=json.dumps({name: MASKED}),
            pointer=pointer,
            load_id=load.plan.load_id,
        )


def _without_defaults(schema: TableSchema, masked: Collection[str]) -> TableSchema:
    return replace(schema, columns=tuple(replace(one, default=None) if one.name in masked else one for one in schema.columns))
