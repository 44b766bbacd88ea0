"""What a back-fill must never do: delete many rows unasked, hide what is missing, keep a live sync waiting, or not end."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from pipelines.sources.postgres import PostgresSource
from pipelines.state.backfills import Backfill
from pipelines.sync import backfill, throttle
from pipelines.sync.steps import set_hook
from pipelines.wiring import open_mirror
from sensors.backfill_gaps import list_wishes
from tests.conftest import TODAY, Project
from tests.integration.backfilling import FIRST, Killed, at_commit, declare, die, fill, gaps
from tests.integration.command_line import daybreak

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_days_a_window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(backfill, "DAYS_PER_WINDOW", 2)
    monkeypatch.setattr(throttle, "FIRST_SHARE", 1.0)  # which would be found out in some seconds: nobody else is at this source
    monkeypatch.setattr(throttle, "SHARE_AT_WORK", 1.0)
    yield
    set_hook(None)


@pytest.fixture
def table(project: Project) -> Project:
    """Ten days of 30 rows each, all loaded."""
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{TODAY}'::timestamptz - ((i - 1) % 10 + 1) * interval '24 h' + interval '1 h' "
        "from generate_series(1, 300) i",
    )
    declare(project)
    project.environment["DAYBREAK_CHUNK_ROWS"] = "1000"
    project.commit("t")
    return project


def test_mass_delete_guard_is_not_bypassed_by_the_sensor(table: Project) -> None:
    """243 of 300 rows vanish: `--heal` would hold; but a plain comparison makes them a wish, whose back-fill deletes them."""
    table.run("delete from t where id > 30 and at >= '2026-03-01'")
    daybreak(table, "reconcile", "shop", "t", "--full")
    wishes = list_wishes(gaps(table))
    for wish in wishes:
        fill(table, wish.days[0], wish.days[-1] + timedelta(days=1))
    assert table.ask("select count(*) from raw_shop.t") == [(300,)], "rows were deleted although more than max_deletes are gone"


@pytest.mark.parametrize("is_filled", [False, True])
def test_a_back_fill_does_not_forget_what_transactions_were_open_during_the_last_sync(
    project: Project, monkeypatch: pytest.MonkeyPatch, is_filled: bool
) -> None:
    """A row of a transaction that was open during the last sync: without a back-fill in between the next sync finds it."""
    today = datetime.now(UTC).date()
    project.environment["DAYBREAK_TODAY"] = str(today)
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{today}'::timestamptz - i * interval '24 h' + interval '1 h'"
        " from generate_series(1, 20) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2020-01-01", "lookback_days": 1})
    genuine = PostgresSource.observe
    with monkeypatch.context() as patch, psycopg.connect(project.url) as connection:
        day = today - timedelta(days=5)
        connection.execute(f"insert into t values (2000, 'open', '{day}'::timestamptz + interval '2 h')")  # six days ago, say:
        patch.setattr(
            PostgresSource,
            "observe",
            lambda self, *given: replace(genuine(self, *given), oldest_open_at=datetime.now(UTC) - timedelta(days=6)),
        )
        project.sync("t")
        connection.commit()
    if is_filled:
        project.run("update t set name = name || '!' where id > 10")
        fill(project, today - timedelta(days=20), today - timedelta(days=16))  # two windows
    project.sync("t")
    assert project.ask("select count(*) from raw_shop.t where id = 2000") == [(1,)]


def test_days_that_a_back_fill_mended_are_no_gap_any_more(table: Project) -> None:
    table.run("update t set name = name || '!' where id = 9")
    daybreak(table, "reconcile", "shop", "t", "--full")
    (gap,) = gaps(table)
    assert gap.kind == "days_differ"
    fill(table, gap.days[0], gap.days[-1] + timedelta(days=1))
    table.check("t")
    assert gaps(table) == []


def test_what_a_held_table_lacks_is_not_asked_for(table: Project) -> None:
    table.run("update t set name = name || '!' where id = 9")
    daybreak(table, "reconcile", "shop", "t", "--full")
    open_mirror(table.settings.state_url).record_held("shop.t", "gate x", None, TODAY)
    assert list_wishes(gaps(table)) == []


def test_a_window_that_a_gate_holds_is_told_until_somebody_decided(table: Project) -> None:
    table.run("update t set name = name || '!'", "update t set name = null where id = 10")  # the first day
    assert fill(table).outcome == "held"
    table.sync("t")
    (gap,) = gaps(table)
    assert (gap.kind, gap.held is not None) == ("unfinished", True)
    assert list_wishes([gap]) == []


def test_an_unfinished_back_fill_before_a_later_start_can_be_ended(table: Project) -> None:
    table.run("update t set name = name || '!'")
    at_commit(2, die)
    with pytest.raises(Killed):
        fill(table)
    set_hook(None)
    table.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-03-05", "lookback_days": 1})
    table.sync("t")
    for gap in gaps(table):
        daybreak(table, *gap.remedy.split()[1:])
    assert gaps(table) == []


def test_an_unfinished_back_fill_of_a_table_that_has_no_days_any_more_is_no_gap(table: Project) -> None:
    table.run("update t set name = name || '!'")
    at_commit(2, die)
    with pytest.raises(Killed):
        fill(table)
    set_hook(None)
    table.declare("t", "snapshot", key=["id"])
    table.sync("t")
    for gap in gaps(table):
        assert daybreak(table, *gap.remedy.split()[1:]).exit_code == 0
    assert gaps(table) == []


def test_a_table_without_a_key_is_read_gently_too(project: Project) -> None:
    """Its windows are read as a stream, for which the throttle is never asked."""
    project.run(
        "create table t (name text, at timestamptz)",
        f"insert into t select 'name ' || i, '{TODAY}'::timestamptz - (i % 10 + 1) * interval '24 h' + interval '1 h' "
        "from generate_series(1, 300) i",
    )
    project.declare("t", "partitioned", partition={"column": "at", "start": "2026-01-01", "lookback_days": 1})
    project.commit("t")
    project.run("update t set name = name || '!'")
    asked: list[str] = []
    genuine = PostgresSource.activity
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresSource, "activity", lambda self: (asked.append("how busy?"), genuine(self))[1])
        seen: list[Backfill] = []
        fill(project, watch=seen.append)
    assert len(asked) >= len(seen) - 1 > 1  # before each window at least
    assert seen[-1].share is not None


def test_live_syncs_of_other_days_do_not_keep_a_back_fill_from_its_end(table: Project) -> None:
    """Each live load, of whatever day, makes the window be read again from its first chunk; after four it is given up."""
    table.run("update t set name = name || '!'")
    count = [0]

    def hook(name: str, moment: str) -> None:
        if (name, moment) == ("gate", "before") and threading.current_thread().name.startswith("sync-shop"):
            count[0] += 1
            if count[0] > 30:
                return
            table.run(f"insert into t values ({5000 + count[0]}, 'late', '{TODAY - timedelta(days=1)}')")
            live = threading.Thread(target=lambda: table.sync("t"), name="live")
            live.start()
            live.join()

    set_hook(hook)
    result = fill(table, FIRST, FIRST + timedelta(days=2))
    set_hook(None)
    assert result.outcome == "committed", (count, result.held_reason)


def test_a_mirror_that_is_lost_in_the_middle_of_a_back_fill(table: Project) -> None:
    table.run("update t set name = name || '!'")
    home = table.home

    def lose() -> None:
        for name in ("state.db", "state.db-wal", "state.db-shm"):
            (home / name).unlink(missing_ok=True)

    at_commit(2, lose)
    result = fill(table)
    assert result.outcome in ("committed", "held"), result
    table.sync("t")
    assert fill(table).outcome in ("committed", "unchanged")
    table.check("t")
    assert gaps(table) == []


def test_a_day_that_lost_a_row_to_a_back_filled_day_is_told_to_incremental_models(table: Project) -> None:
    """`daily_funnel` builds the days whose `load_id` in `daybreak.windows` is another one."""
    day = TODAY - timedelta(days=6)  # of id 6
    before = table.ask(f"select load_id from daybreak.windows where day = '{day}'")
    table.run(f"update t set at = '{TODAY - timedelta(days=8)}' where id = 6")
    fill(table, TODAY - timedelta(days=8), TODAY - timedelta(days=7))
    assert table.ask(f"select count(*) from raw_shop.t where \"at\"::date = '{day}'") == [(29,)]
    assert table.ask(f"select load_id from daybreak.windows where day = '{day}'") != before
