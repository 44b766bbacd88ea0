"""Partitioned tables whose rows move: a digest says what was read in a day, so a day that holds anything else must keep none."""

from collections.abc import Iterator

import pytest

from pipelines.sync.model import DayRange
from pipelines.sync.steps import Moment, set_hook
from tests.conftest import TODAY, Project
from tests.integration.test_sync_modes import days_ago

pytestmark = pytest.mark.slow

NAMED = {"expect_column_values_to_not_be_null": {"column": "name"}, "on_failure": "quarantine"}


@pytest.fixture
def table(project: Project) -> Project:
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{TODAY}'::timestamptz - i * interval '6 h' from generate_series(1, 60) i",
        "insert into t values (100, 'in no day', null)",
    )
    project.declare(
        "t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 2}, expectations=[NAMED]
    )
    project.commit("t")
    return project


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)


def sync_and_die_after_the_days(project: Project) -> None:
    class Killed(BaseException):
        pass

    def die(name: str, moment: Moment) -> None:
        if (name, moment) == ("mirror", "before"):
            raise Killed

    set_hook(die)
    with pytest.raises(Killed):
        project.sync("t")
    set_hook(None)


@pytest.mark.parametrize("value", ["null", "'infinity'"])
def test_a_row_that_leaves_no_day_for_a_day_and_comes_back_after_a_crash_is_not_lost(table: Project, value: str) -> None:
    table.run(f"update t set at = {value} where id = 100")
    table.sync("t")
    table.run(f"update t set at = '{days_ago(1)} 03:00+00' where id = 100")
    sync_and_die_after_the_days(table)
    table.run(f"update t set at = {value} where id = 100")
    table.sync("t")
    table.check("t")
    assert table.sync("t").outcome == "unchanged"


@pytest.mark.parametrize("home", [1, 3, 9])  # days ago: in the same window, at the end of the look-back, and long before it
@pytest.mark.parametrize("is_between", [False, True])
def test_no_ghost_stays_of_a_row_that_moved_to_another_day_turned_bad_and_was_deleted(table: Project, home: int, is_between: bool) -> None:
    table.run(f"insert into t values (101, 'good', '{days_ago(home)} 03:00+00')")
    table.commit("t", days(home))
    table.run(f"update t set at = '{days_ago(2)} 03:00+00', name = null where id = 101")
    table.commit("t")
    assert [row["key"] for row in table.quarantine("t")] == ['["101"]']
    if is_between:
        table.sync("t")
        assert table.sync("t").outcome == "unchanged"
    table.run("delete from t where id = 101")
    table.sync("t")
    table.check("t")
    assert not table.quarantine("t")
    assert table.sync("t").outcome == "unchanged"


def test_no_ghost_stays_of_a_row_that_left_a_day_for_no_day_and_turned_bad(table: Project) -> None:
    table.run("update t set at = null, name = null where id = 2")
    table.commit("t")
    table.run("delete from t where id = 2")
    table.sync("t")
    table.check("t")
    assert table.sync("t").outcome == "unchanged"


def test_the_older_version_of_a_row_that_turned_bad_stays_in_its_own_day(table: Project) -> None:
    table.run("update t set name = null where id = 2")
    table.commit("t")
    assert table.ask("select name from raw_shop.t where id = 2") == [("name 2",)]
    assert table.sync("t").outcome == "unchanged"
    table.run(f"update t set at = '{days_ago(2)} 03:00+00' where id = 2")
    table.commit("t")
    assert table.sync("t").outcome == "unchanged"
    table.run("update t set name = 'mended' where id = 2")
    table.commit("t")


def days(home: int) -> DayRange:
    return DayRange(days_ago(home), days_ago(home - 1))
