"""A table whose schema changes, and what the tests of that ask of it."""

import json
from typing import Any

from pipelines.evolution.apply import Applied, ApplyRequest, apply_changes
from pipelines.evolution.impact import NO_MODELS
from pipelines.evolution.plan import TablePlan, plan_source
from tests.conftest import TODAY, Project

MODES: dict[str, dict[str, Any]] = {
    "incremental": {"key": ["id"], "cursor": "at"},
    "snapshot": {"key": ["id"]},
    "partitioned": {"key": ["id"], "partition": {"column": "at", "start": "2026-02-01", "lookback_days": 1}},
}
MOVED = f"'{TODAY}'::timestamptz - interval '1 s'"  # a cursor above all others, and a day that is read again


def make_table(project: Project) -> Project:
    """Twenty rows of the last twenty hours, unloaded."""
    project.run(
        "create table t (id int primary key, name text default 'x', qty int, code varchar(10), price numeric(10, 2), at timestamptz)",
        "insert into t select i, 'n' || i, i, '00' || i, i + 0.5, "
        f"'{TODAY}'::timestamptz - i * interval '1 hour' from generate_series(1, 20) i",
    )
    return project


def load(table: Project, mode: str = "incremental", **entry: Any) -> Project:
    table.declare("t", mode, **MODES[mode], **entry)
    table.commit("t")
    return table


def plan(table: Project) -> TablePlan:
    return plan_source(table.settings, table.settings.sources()[0], NO_MODELS)[0]


def apply(table: Project, *approvals: str) -> Applied:
    return apply_changes(table.settings, ApplyRequest(table.settings.sources(), approvals, "alice"), NO_MODELS)


def kept(table: Project, name: str = "t") -> dict[str, str]:
    """The raw table's columns with their types."""
    columns = "column_name, data_type, numeric_precision, numeric_scale"
    schema, name = ("RAW_SHOP", name.upper()) if table.snowflake else ("raw_shop", name)
    found = table.ask(f"select {columns} from information_schema.columns where table_schema = '{schema}' and table_name = '{name}'")
    if table.snowflake:
        return {column.lower(): _named(*kind) for column, *kind in found if not column.startswith("_")}
    return {column: kind for column, kind, *_ in found if not column.startswith("_")}


def _named(kind: str, precision: int | None, scale: int | None) -> str:
    """Return what DuckDB calls one of Snowflake's types."""
    whole = {5: "SMALLINT", 10: "INTEGER", 19: "BIGINT"}
    if kind == "NUMBER" and precision is not None:
        return whole.get(precision, f"DECIMAL({precision},{scale})") if scale == 0 else f"DECIMAL({precision},{scale})"
    return {"TEXT": "VARCHAR", "FLOAT": "DOUBLE", "TIMESTAMP_TZ": "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NTZ": "TIMESTAMP"}.get(kind, kind)


def history(table: Project) -> list[str]:
    """What the schema versions say, oldest first, without the first."""
    rows = table.ask("select changes from daybreak.schema_versions where version > 1 order by version")
    return [told for (changes,) in rows for told in json.loads(changes)]


def comment_of(table: Project, column: str) -> str | None:
    """What the warehouse says of a column of ``t``."""
    if table.snowflake:
        where = f"table_schema = 'RAW_SHOP' and table_name = 'T' and column_name = '{column.upper()}'"
        return str(table.ask(f"select comment from information_schema.columns where {where}")[0][0])
    where = f"schema_name = 'raw_shop' and table_name = 't' and column_name = '{column}'"
    return str(table.ask(f"select comment from duckdb_columns() where {where}")[0][0])
