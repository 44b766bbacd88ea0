"""A small table that is compared with its source, and what the tests of that ask."""

from pipelines.reconcile import ReconcileRequest, reconcile_tables
from pipelines.sync.sides import ParityResult
from tests.conftest import Project


def reconcile(project: Project, name: str = "t", **request: object) -> ParityResult:
    (result,) = reconcile_tables(project.settings, ReconcileRequest("shop", name, **request))  # type: ignore[arg-type]
    return result


def named(result: ParityResult) -> dict[str, str]:
    return {", ".join(one.row.key): one.kind for one in result.differences}


def make_orders(project: Project, rows: int = 30, **entry: object) -> None:
    project.run(
        "create table t (id bigint primary key, name text, n int, updated_at timestamptz)",
        f"insert into t select i, 'name ' || i, i, '2026-03-01'::timestamptz + i * interval '1 s' from generate_series(1, {rows}) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="updated_at", **entry)
    project.commit("t")


def by_hand(project: Project, *statements: str) -> None:
    """Change the warehouse as nobody should."""
    if project.snowflake:
        for statement in statements:
            project.ask(statement)
        return
    import duckdb

    with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for statement in statements:
            connection.execute(statement)
