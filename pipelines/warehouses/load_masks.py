"""Takes out of the warehouse, with a load, what could be read before a column was masked.

The raw table's own columns are ``load_shape``'s; what a store keeps of deleted rows is ``Warehouse.erase_traces``'s.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from pipelines.names import OLDER, first_name
from pipelines.sync import codec
from pipelines.sync.model import StagedLoad
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import OF_TABLE, Run, as_rows, names_of
from pipelines.warehouses.load_ddl import drop_column

MASKED = "(masked)"
PAGE_ROWS = 100
PAGE_BYTES = 4 * 2**20  # in one value, beside a text that may be as long again


def drop_masked(run: Run, load: StagedLoad) -> None:
    """Drop masked columns from what the raw table was before its key became one of another kind."""
    masked = {name.casefold() for name in names_ever_masked(run, load)} if load.spec.masks else set()
    for table in find_kept_tables(run, load.spec) if masked else ():
        for name in run.columns(load.spec, table):
            if first_name(name).casefold() in masked:
                run(drop_column(run.dialect, f"{run.dialect.schema_name(load.spec)}.{run.dialect.quote(table)}", name))


def redact_table(run: Run, load: StagedLoad, now: datetime) -> None:
    """Mask the quarantine's entries of earlier loads, forget the defaults of masked columns, and note that there are traces."""
    if not load.spec.masks:
        return
    names = names_of(load.spec)
    schemas = _read_schemas(run, load)
    masked = _names_ever(load, [schema for schema, _ in schemas.values()])
    _redact_quarantine(run, load, masked)
    for version, (schema, changes) in schemas.items():
        cleaned = _without_defaults(schema, masked)
        # What was told of a column's default is a value of it.
        told = [one for one in changes if not one.startswith(tuple(f"the default of {name} is" for name in masked))]
        if (cleaned, told) != (schema, changes):
            run(
                f"update daybreak.schema_versions set table_schema = $schema, changes = $changes where {OF_TABLE} and version = $version",
                **names,
                version=version,
                schema=codec.dump(codec.SCHEMA, cleaned),
                changes=json.dumps(told, ensure_ascii=False),
            )
    run("insert into daybreak.traces (source_name, table_name, noted_at) values ($source, $table, $now)", **names, now=now)


def find_kept_tables(run: Run, spec: TableSpec) -> list[str]:
    """Return the names of what the raw table was before its key became one of another kind; see ``load_ddl.kept_name``."""
    is_kept = re.compile(rf"{re.escape(spec.name + OLDER)}\d+", re.IGNORECASE)
    return sorted(name for name in run.tables(spec) if is_kept.fullmatch(name))


def names_ever_masked(run: Run, load: StagedLoad) -> set[str]:
    """Return the masked columns' names, and those that they had in any schema of the table."""
    return _names_ever(load, read_schemas(run, load).values())


def read_schemas(run: Run, load: StagedLoad) -> dict[int, TableSchema]:
    """Return every committed schema of the table, by its version."""
    return {version: schema for version, (schema, _) in _read_schemas(run, load).items()}


def _read_schemas(run: Run, load: StagedLoad) -> dict[int, tuple[TableSchema, list[str]]]:
    versions = run(
        f"select version, table_schema, coalesce(changes, '[]') from daybreak.schema_versions where {OF_TABLE}",
        source=load.spec.source,
        table=load.spec.name,
    )
    return {int(version): (codec.SCHEMA.validate_json(text), json.loads(changes)) for version, text, changes in versions}


def _names_ever(load: StagedLoad, schemas: Iterable[TableSchema]) -> set[str]:
    """Return the masked columns' names, and those that they had before the source renamed them."""
    now = load.plan.schema
    identities = {column.identity for column in now.columns if column.name in load.spec.masks and column.identity is not None}
    former = {
        column.name for schema in schemas if schema.identity == now.identity for column in schema.columns if column.identity in identities
    }
    return former | set(load.spec.masks)


def _redact_quarantine(run: Run, load: StagedLoad, columns: Collection[str]) -> None:
    """Mask values in the text of rows; page by page, as there may be many, and each text once."""
    which = f"{OF_TABLE} and load_id <> $load_id"
    names = {**names_of(load.spec), "load_id": load.plan.load_id}
    page = f"select distinct original from daybreak.quarantine where {which} and original > $after order by original limit {PAGE_ROWS}"
    given = run.dialect.rows("rows", {"original": "varchar", "masked": "varchar"})
    after = ""
    while rows := run(page, after=after, **names):
        after = rows[-1][0]
        masked = [(text, _mask(text, columns)) for (text,) in rows]
        for changed in _pages([(text, new) for text, new in masked if new != text]):
            run(
                f"update daybreak.quarantine set original = given.masked from ({given}) given "
                f"where {which} and quarantine.original = given.original",
                rows=as_rows(changed),
                **names,
            )


def _pages(texts: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    page: list[tuple[str, str]] = []
    size = 0
    for text, masked in texts:
        if page and size + len(text.encode()) > PAGE_BYTES:
            yield page
            page, size = [], 0
        page.append((text, masked))
        size += len(text.encode())
    if page:
        yield page


def _mask(original: str, columns: Collection[str]) -> str:
    row = json.loads(original)
    hidden = {name: MASKED for name in row if name in columns}
    return json.dumps({**row, **hidden}, ensure_ascii=False) if hidden else original


def _without_defaults(schema: TableSchema, masked: Collection[str]) -> TableSchema:
    return replace(schema, columns=tuple(replace(one, default=None) if one.name in masked else one for one in schema.columns))
