"""A table whose schema changes, and what the tests of that ask of it."""

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
    found = table.ask(f"select column_name, data_type from duckdb_columns() where schema_name = 'raw_shop' and table_name = '{name}'")
    return {column: kind for column, kind in found if not column.startswith("_")}


def history(table: Project) -> list[str]:
    """What the schema versions say, oldest first, without the first."""
    rows = table.ask("select unnest(changes::varchar[]) from daybreak.schema_versions where version > 1 order by version")
    return [told for (told,) in rows]
