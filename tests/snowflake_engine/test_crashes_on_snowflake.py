"""L1 to L4 on Snowflake: a load that dies anywhere, a COMMIT without an answer, a run that was overtaken. One more sync, and P0 holds."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pipelines.errors import WarehouseUnavailable
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import set_hook
from pipelines.warehouses import open_warehouse, snowflake_swap
from pipelines.warehouses.snowflake import SnowflakeWarehouse
from tests.conftest import Project
from tests.crash.conftest import Forker, Run, forker, run
from tests.crash.crashing import DIED
from tests.integration.evolving import kept
from tests.snowflake.fixtures import Double, on_double

__all__ = ["forker", "run"]  # fixtures
STEPS = ("claim", "load.schema", "load.rows", "load.quarantine", "commit.ledger", "commit.fence", "commit.transaction", "mirror", "clean")
SAMPLE = {("load.rows", "after"), ("commit.fence", "after"), ("commit.transaction", "after")}
SWAPS = [("commit.fence", "after"), ("commit.transaction", "after"), ("commit.swap", "before"), ("commit.swap", "after")]
EVERY = [(name, moment) for name in STEPS for moment in ("before", "after")]


@pytest.fixture
def table(project: Project, run: Run, double: Double) -> Project:
    """Twenty rows that were loaded once. A session whose process is gone is given up soon, and not after five minutes."""
    double.idle_after(0.5)
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, 'old' from generate_series(1, 20) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    assert run(project, None)["code"] == 0
    return project


@on_double
@pytest.mark.parametrize(
    "boundary", [pytest.param(one, marks=[] if one in SAMPLE else [pytest.mark.slow], id=" ".join(one)) for one in EVERY]
)
def test_a_load_that_dies_is_gone_on_with(table: Project, run: Run, boundary: tuple[str, str]) -> None:
    table.run("update t set name = 'new', at = now() where id < 10", "insert into t (id, name) values (100, 'added')")
    died = run(table, (*boundary, 1))
    assert died["code"] == DIED
    finished = run(table, None)
    assert finished["code"] == 0
    table.check("t")
    assert table.ask("select sum(rows_inserted), sum(rows_updated) from daybreak.ledger") == [(21, 9)]


@on_double
@pytest.mark.parametrize("is_quiet", [False, True], ids=["more rows", "nothing new"])
@pytest.mark.parametrize("boundary", SWAPS, ids=" ".join)
def test_a_load_that_renames_a_column_and_dies_shows_the_old_table_or_the_new_one(
    table: Project, run: Run, boundary: tuple[str, str], is_quiet: bool
) -> None:
    table.run("alter table t rename name to title", "update t set title = 'new', at = now() where id = 3")
    assert run(table, (*boundary, 1))["code"] == DIED
    assert set(kept(table)) == {"id", "title" if boundary == ("commit.swap", "after") else "name", "at"}
    table.run(*[] if is_quiet else ["update t set title = 'newer', at = now() where id = 4"])
    assert run(table, None)["code"] == 0
    table.check("t")
    assert set(kept(table)) == {"id", "title", "at"}
    assert table.ask("select count(*) from daybreak.swaps") == [(0,)]
    names = table.ask("select table_name from information_schema.tables where table_schema = 'RAW_SHOP'")
    assert names == [("T",)]


@on_double
@pytest.mark.parametrize("at", ["claim", "commit.transaction"])
def test_a_commit_without_an_answer_is_looked_up_and_nothing_is_loaded_twice(table: Project, double: Double, at: str) -> None:
    table.run("insert into t (id, name) values (100, 'added')")
    table.environment["DAYBREAK_WAREHOUSE_URL"] += "&network_timeout=5"  # the driver asks again for so long
    set_hook(lambda step, moment: double.drop_after_commit() if (step, moment) == (at, "before") else None)
    try:
        assert table.sync("t").outcome == "committed"
    except WarehouseUnavailable:  # the token was taken, and nobody knows
        assert at == "claim"
        set_hook(None)
        table.sync("t")
    finally:
        set_hook(None)
    table.check("t")
    assert table.ask("select sum(rows_inserted) from daybreak.ledger") == [(21,)]


@on_double
def test_a_run_that_wakes_up_after_another_one_commits_nothing(table: Project, forker: Forker) -> None:
    table.run("insert into t (id, name) values (100, 'added')")
    with forker.stopped(table, ("commit", "before", 1)) as zombie:
        assert table.sync("t").outcome == "committed"
        table.run("update t set name = 'later', at = now() where id = 100")
        assert table.sync("t").outcome == "committed"
        zombie.wake()
    table.sync("t")
    table.check("t")
    assert table.ask("select sum(rows_inserted) from daybreak.ledger") == [(21,)]


@on_double
def test_two_that_finish_a_rename_at_once_and_one_that_was_stopped_in_it_lose_no_row(
    table: Project, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One has seen that the copy stands, and goes on only when another one has finished, and a load came after that."""
    table.run("alter table t rename name to title", "update t set title = 'new', at = now() where id = 3")
    assert run(table, ("commit.transaction", "after", 1))["code"] == DIED
    replace, order = snowflake_swap._replace, []

    def stopped(*what: Any) -> None:
        order.append("stopped")
        monkeypatch.setattr(snowflake_swap, "_replace", replace)
        table.run("update t set title = 'newer', at = now() where id = 4")
        table.sync("t")
        order.append("woken")
        replace(*what)

    monkeypatch.setattr(snowflake_swap, "_replace", stopped)
    open_warehouse(table.environment["DAYBREAK_WAREHOUSE_URL"], 10).claim(table.spec("t"))
    assert order == ["stopped", "woken"]
    table.check("t")
    table.sync("t")
    table.check("t")
    assert table.ask("select title from raw_shop.t where id in (3, 4) order by id") == [("new",), ("newer",)]


def test_several_that_are_the_first_take_different_tokens(snowflake_url: str) -> None:
    spec = TableSpec("shop", "public", "t", "snapshot", key=("id",))
    barrier = threading.Barrier(4)

    def claim(_number: int) -> int:
        warehouse = SnowflakeWarehouse(snowflake_url)
        barrier.wait()
        return warehouse.claim(spec)

    with ThreadPoolExecutor(4) as pool:
        tokens = list(pool.map(claim, range(4)))
    assert sorted(tokens) == [1, 2, 3, 4]


@on_double
def test_a_table_with_nothing_new_sends_nothing(table: Project, double: Double) -> None:
    table.sync("t")
    database = table.environment["DAYBREAK_WAREHOUSE_URL"].partition("/DAYBREAK")[2].partition("?")[0]
    before = double.statements(f"DAYBREAK{database}")
    for _ in range(2):
        assert table.sync("t").outcome == "unchanged"
    assert double.statements(f"DAYBREAK{database}") == before


@on_double
def test_statements_say_which_load_and_table_they_are_of(table: Project, double: Double) -> None:
    table.run("insert into t (id, name) values (100, 'added')")
    entry = table.commit("t").loads[0]
    merges = [one for one in double.statements() if one["sql"].startswith("merge into")]
    assert f"load {entry.load_id} of shop.t" in merges[-1]["query_tag"]
    tagged = [one for one in double.statements() if entry.load_id in one["query_tag"]]
    assert tagged[-1]["sql"] == "commit"
    assert entry.statements == len(tagged) + 1  # and the one that tagged them
