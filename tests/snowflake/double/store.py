"""What all sessions share: DuckDB with one attached database for each of Snowflake's, the clock of commits, the locks and the log."""

import itertools
import shutil
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
from fakesnow import macros

from tests.snowflake.double.errors import existing, missing
from tests.snowflake.double.functions import MACROS, WALL
from tests.snowflake.double.locks import Locks
from tests.snowflake.double.names import DECODED, Table, decode, literal, quote

# The double's own tables in each database. Whoever reads ``touched`` first in a transaction fixes what the transaction sees.
_OWN = """
    create schema if not exists {db}._daybreak;
    create table if not exists {db}._daybreak.touched (nothing integer);
    create table if not exists {db}._daybreak.stages (schema_name varchar, name varchar);
    create table if not exists {db}._daybreak.loads (table_id varchar, file varchar, etag varchar);
"""
TYPE = """
    coalesce(comment::json->>'$.type', case
        when data_type like 'DECIMAL%' then replace(data_type, 'DECIMAL', 'NUMBER')
        when data_type like '%INT%' then 'NUMBER(38,0)'
        when data_type in ('DOUBLE', 'FLOAT') then 'FLOAT'
        when data_type = 'VARCHAR' then 'VARCHAR(16777216)'
        when data_type = 'BLOB' then 'BINARY(8388608)'
        when data_type = 'TIME' then 'TIME(9)'
        when data_type like 'TIMESTAMP WITH%' then 'TIMESTAMP_TZ(9)'
        when data_type like 'TIMESTAMP%' then 'TIMESTAMP_NTZ(9)'
        when data_type = 'JSON' then 'VARIANT'
        else data_type end)
"""
_VIEWS = f"""
    create view _tables as
        select {DECODED.format("database_name")} as table_catalog, {DECODED.format("schema_name")} as table_schema,
            {DECODED.format("table_name")} as table_name, database_name, schema_name, table_name as relation, 'BASE TABLE' as table_type,
            coalesce(comment::json->>'$.kind', 'NO') as is_transient, estimated_size::decimal(38,0) as row_count,
            comment::json->>'$.comment' as comment,
            coalesce(comment::json->>'$.owner', 'LOADER') as table_owner
        from duckdb_tables() where not temporary and schema_name not in ('_daybreak', 'main') and not internal
        union all by name
        select {DECODED.format("database_name")} as table_catalog, {DECODED.format("schema_name")} as table_schema,
            {DECODED.format("view_name")} as table_name, database_name, schema_name, view_name as relation, 'VIEW' as table_type,
            'NO' as is_transient, null as row_count, comment::json->>'$.comment' as comment,
            coalesce(comment::json->>'$.owner', 'LOADER') as table_owner
        from duckdb_views() where not temporary and schema_name not in ('_daybreak', 'main') and not internal;
    create view _columns as
        select {DECODED.format("database_name")} as table_catalog, {DECODED.format("schema_name")} as table_schema,
            {DECODED.format("table_name")} as table_name, {DECODED.format("column_name")} as column_name, database_name, schema_name,
            table_name as relation, column_index::decimal(38,0) as ordinal_position, column_default,
            if(is_nullable, 'YES', 'NO') as is_nullable, {TYPE} as full_type, comment::json->>'$.comment' as comment
        from duckdb_columns() where schema_name not in ('_daybreak', 'main') and database_name not in ('system', 'temp') and not internal;
    create view _information_tables as
        select table_catalog, table_schema, table_name, table_owner, table_type, is_transient, row_count, null::decimal(38,0) as bytes,
            null::timestamptz as created, null::timestamptz as last_altered, null::varchar as clustering_key, 'NO' as is_dynamic,
            'NO' as is_iceberg, 'NO' as is_temporary, comment
        from _tables;
    create view _information_columns as
        select table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable,
            case when full_type like 'VARCHAR%' then 'TEXT' else regexp_extract(full_type, '^[A-Z_]+') end as data_type,
            case when full_type like 'VARCHAR%' then regexp_extract(full_type, '[0-9]+')::decimal(38,0) end as character_maximum_length,
            case when full_type like 'BINARY%' then regexp_extract(full_type, '[0-9]+')::decimal(38,0) end as character_octet_length,
            case when full_type like 'NUMBER%' then regexp_extract(full_type, '[0-9]+')::decimal(38,0) end as numeric_precision,
            case when full_type like 'NUMBER%' then regexp_extract(full_type, '([0-9]+).$', 1)::decimal(38,0) end as numeric_scale,
            case when full_type like 'TIME%' then regexp_extract(full_type, '[0-9]+')::decimal(38,0) end as datetime_precision, comment
        from _columns;
    create view _information_schemata as
        select {DECODED.format("database_name")} as catalog_name, {DECODED.format("schema_name")} as schema_name, 'LOADER' as schema_owner
        from duckdb_schemas() where not internal and schema_name not in ('_daybreak', 'main');
    create view _information_views as
        select table_catalog, table_schema, table_name, table_owner, comment from _tables where table_type = 'VIEW';
"""


@dataclass
class Store:
    """DuckDB, and what its transactions do not know of each other."""

    folder: Path
    persisted: bool
    duck: duckdb.DuckDBPyConnection
    locks: Locks = field(default_factory=Locks)
    mutex: threading.RLock = field(default_factory=threading.RLock)  # held while a snapshot begins or a commit ends
    clock: int = 0
    changed_at: dict[Table, int] = field(default_factory=dict)
    databases: set[str] = field(default_factory=set)
    statements: list[dict[str, Any]] = field(default_factory=list)
    numbers: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def create_database(self, name: str) -> None:
        with self.mutex:
            if name in self.databases:
                raise existing(decode(name))
            file = str(self.folder / f"{name}.duckdb") if self.persisted else ":memory:"
            self.duck.execute(f"attach {literal(file)} as {quote(name)}")
            self.duck.execute(_OWN.format(db=quote(name)))
            self.databases.add(name)

    def drop_database(self, name: str) -> None:
        with self.mutex:
            if name not in self.databases:
                raise missing("Database", decode(name))
            self.duck.execute(f"detach {quote(name)}")
            self.databases.discard(name)
        (self.folder / f"{name}.duckdb").unlink(missing_ok=True)
        shutil.rmtree(self.folder / "stages" / name, ignore_errors=True)

    def note_commit(self, tables: set[Table]) -> None:
        """Tell later statements what a commit changed; the mutex is held."""
        self.clock += 1
        for table in tables:
            self.changed_at[table] = self.clock


def open_store(folder: Path | None) -> Store:
    """Return a store in memory, or what ``folder`` holds."""
    # Left in memory, files of stages still need a folder; the operating system clears it.
    place = folder or Path(tempfile.mkdtemp(prefix="daybreak-double-"))
    place.mkdir(parents=True, exist_ok=True)
    duck = duckdb.connect(":memory:", config={"lambda_syntax": "ENABLE_SINGLE_ARROW"})
    duck.execute("set global TimeZone = 'UTC'")
    duck.execute(macros.creation_sql("memory.main"))
    duck.execute(WALL)
    duck.execute(MACROS)
    duck.execute(_VIEWS)
    store = Store(place, folder is not None, duck)
    for file in sorted(place.glob("*.duckdb")):
        store.create_database(file.stem)
    return store
