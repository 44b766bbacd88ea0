"""The warehouse is compared with its source: what is equal is said to be, and what is not is named by its key and healed."""

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


def test_an_equal_table_is_said_to_be_equal_with_numbers(project: Project) -> None:
    make_orders(project)
    result = reconcile(project)
    assert (result.outcome, result.source_rows, result.warehouse_rows) == ("equal", 30, 30), result
    assert project.ask("select sum(source_rows)::int, bool_and(source_digest = warehouse_digest) from daybreak.parity") == [(30, True)]


def test_a_row_that_changed_behind_the_cursor_is_named_and_healed(project: Project) -> None:
    make_orders(project)
    project.run("update t set name = 'back-dated' where id = 17")
    assert project.sync("t").outcome == "unchanged"
    found = reconcile(project)
    assert (found.outcome, named(found)) == ("differs", {"17": "different"})
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread) == ("equal", 1)
    project.check("t")
    assert reconcile(project).outcome == "equal"
