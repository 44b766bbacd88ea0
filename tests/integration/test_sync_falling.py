"""A cursor that goes backwards: a table numbered anew, a source restored, or just its newest row deleted."""

from collections.abc import Iterator

import psycopg
import pytest

from pipelines.sync.steps import Moment, set_hook
from tests.conftest import Project

pytestmark = pytest.mark.slow

CURSORS = {
    "serial": "n serial, at timestamptz default now()",
    "timestamptz": "n serial, at timestamptz default now()",
    "date": "n serial, at date default current_date",
}


@pytest.fixture(params=list(CURSORS))
def cursor(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def table(project: Project, cursor: str) -> Project:
    project.run(f"create table t (id int primary key, name text, {CURSORS[cursor]})")
    project.run("insert into t select i, 'old', i, '2026-02-01'::timestamptz + i * interval '1 h' from generate_series(1, 100) i")
    project.run("select setval('t_n_seq', 100)")
    project.declare("t", "incremental", key=["id"], cursor="n" if cursor == "serial" else "at")
    project.commit("t")
    return project


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)


RESTART = (
    "truncate t restart identity",
    "insert into t (id, name, at) select i, 'new', '2026-01-01'::timestamptz + i * interval '1 h' from generate_series(1, 4) i",
)


def test_a_table_that_is_truncated_and_numbered_anew_is_read_whole(table: Project) -> None:
    table.run(*RESTART)
    result = table.sync("t")
    assert_new(table, 4)
    assert "behind" in result.note
    # Once a fall, and no more.
    table.run("insert into t (id, name, at) values (5, 'new', '2026-01-03')")
    assert "behind" not in table.sync("t").note
    assert table.sync("t").outcome == "unchanged"


def assert_new(table: Project, rows: int) -> None:
    found = table.ask("select id from raw_shop.t where name = 'new' order by id")
    assert found == [(n + 1,) for n in range(rows)]


def test_the_fall_when_the_newest_rows_are_deleted_is_read_once(table: Project) -> None:
    table.run("delete from t where id > 90")
    result = table.sync("t")
    assert result.loads[0].counts.read == int(str(table.fetch("select count(*)::text from t")[0][0]))
    for _ in range(2):
        again = table.sync("t")
        assert again.outcome == "unchanged"
        assert again.reread_rows < 60
        assert "behind" not in again.note


def test_a_table_that_was_seen_empty_in_between_is_read_whole(table: Project) -> None:
    table.run("truncate t restart identity")
    table.sync("t")
    with psycopg.connect(table.url) as session:
        session.execute("insert into t (id, name) values (3, 'new')")
        table.run(*[f"insert into t (id, name) values ({n}, 'new')" for n in (1, 2, 4)])
        table.sync("t")
        session.commit()
    table.sync("t")
    assert_new(table, 4)


def test_a_transaction_that_is_open_over_the_fall_loses_no_row(table: Project) -> None:
    with psycopg.connect(table.url) as session:
        session.execute("select 1")
        table.sync("t")  # sees it
        table.run("delete from t where id > 3")
        table.run("select setval('t_n_seq', 3)")
        session.execute("insert into t (id, name) values (1000, 'late')")
        table.run("insert into t (id, name, at) values (1001, 'new', '2026-02-01 06:00')")
        table.sync("t")
        session.commit()
    table.sync("t")
    assert table.ask("select name from raw_shop.t where id = 1000") == [("late",)]


def test_a_fall_that_a_crash_cut_short_is_not_forgotten_when_the_cursor_has_overtaken(table: Project, cursor: str) -> None:
    class Killed(BaseException):
        pass

    def die(name: str, moment: Moment) -> None:
        if (name, moment) == ("gate", "before"):
            raise Killed

    table.run(*RESTART)
    set_hook(die)
    with pytest.raises(Killed):
        table.sync("t")
    set_hook(None)
    table.run("insert into t (id, name, n, at) values (5, 'new', 1000, now())")
    table.sync("t")
    assert_new(table, 5)


def test_an_integer_cursor_whose_table_was_replaced_does_not_use_the_old_tables_numbers(project: Project) -> None:
    create = "(id int primary key, name text, n serial)"
    project.run(f"create table t {create}", "insert into t (id, name) select i, 'old' from generate_series(1, 100) i")
    project.declare("t", "incremental", key=["id"], cursor="n")
    project.commit("t")
    project.run("drop table t", f"create table t {create}", "insert into t (id, name) select i, 'new' from generate_series(1, 100) i")
    with psycopg.connect(project.url) as session:
        session.execute("insert into t (id, name) values (200, 'late')")
        project.run("insert into t (id, name) values (201, 'new')")
        project.sync("t")
        session.commit()
    project.commit("t")
