"""Days that are loaded again: in windows, from where a dead attempt stopped, and after whoever else is at the table."""

import os
import threading
from collections.abc import Iterator
from datetime import date, time, timedelta

import duckdb
import psycopg
import pytest

from pipelines.errors import LoadConflict
from pipelines.settings import Settings
from pipelines.state.backfills import Backfill, begin_backfill, new_backfill
from pipelines.state.mirror import this_process
from pipelines.sync import backfill, throttle
from pipelines.sync.model import DayRange
from pipelines.sync.steps import set_hook
from pipelines.sync.throttle import Stopped
from pipelines.wiring import open_mirror
from tests.conftest import TODAY, Project
from tests.integration.backfilling import END, FIRST, Killed, at_commit, declare, die, fill, left
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
    """Ten days of three rows each, all loaded, of which every row changed since: only a back-fill finds the older ones."""
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{TODAY}'::timestamptz - i * interval '8 h' + interval '1 h' from generate_series(1, 30) i",
    )
    declare(project)
    project.commit("t")
    project.run("update t set name = name || '!'")
    return project


def loads(project: Project) -> int:
    return int(project.ask("select count(*) from daybreak.ledger")[0][0])


def test_days_are_loaded_again_in_windows_and_each_window_is_told(table: Project) -> None:
    seen: list[Backfill] = []
    result = fill(table, reason="somebody asked", watch=seen.append)
    assert (result.outcome, result.unfinished, sum(entry.counts.updated for entry in result.loads)) == ("committed", None, 30)
    table.check("t")
    assert [one.done_days for one in seen] == [0, 2, 4, 6, 8, 10]
    assert [one.rows for one in seen] == [0, 6, 12, 18, 24, 30]
    assert (seen[-1].state, seen[-1].reason) == ("done", "somebody asked")
    assert left(table) == []


def test_days_without_a_change_are_read_and_leave_no_load(table: Project) -> None:
    fill(table)
    before = loads(table)
    result = fill(table)
    assert (result.outcome, result.reread_rows, loads(table)) == ("unchanged", 30, before)


@pytest.mark.parametrize("number", [1, 3, 5])
def test_one_that_died_goes_on_with_the_window_it_was_in(table: Project, number: int) -> None:
    at_commit(number, die)
    with pytest.raises(Killed):
        fill(table)
    set_hook(None)
    (died,) = left(table)
    assert died.next_day == FIRST + timedelta(days=2 * (number - 1))
    result = fill(table)
    assert len(result.loads) == 5 - (number - 1)
    table.check("t")
    assert left(table) == []


def test_one_that_died_begins_anew_where_that_is_asked_for(table: Project) -> None:
    at_commit(4, die)
    with pytest.raises(Killed):
        fill(table)
    set_hook(None)
    result = fill(table, is_anew=True)
    assert (len(result.loads), result.reread_rows) == (2, 18)
    assert left(table) == []


def test_other_days_are_a_back_fill_of_their_own_and_all_of_them_are_the_rest_of_it_too(table: Project) -> None:
    at_commit(2, die)
    with pytest.raises(Killed):
        fill(table)
    set_hook(None)
    fill(table, FIRST, FIRST + timedelta(days=2))
    assert [one.left for one in left(table)] == [DayRange(FIRST + timedelta(days=2), END)]
    fill(table, FIRST + timedelta(days=1), END)
    assert left(table) == []
    table.check("t")


def test_a_live_sync_in_the_middle_goes_first_and_is_planned_once(table: Project) -> None:
    outcomes: list[str] = []
    live = threading.Thread(target=lambda: outcomes.append(table.sync("t").outcome))
    began = threading.Event()

    def meet() -> None:
        set_hook(lambda name, moment: began.set() if (name, moment) == ("plan", "after") else None)
        live.start()
        assert began.wait(20)

    at_commit(3, meet)
    result = fill(table)
    live.join()
    assert outcomes == ["committed"]
    assert result.outcome == "committed"
    table.check("t")
    mirror = open_mirror(table.settings.state_url)
    attempts = mirror.engine.connect().exec_driver_sql("select outcome, error from attempts where not is_backfill").fetchall()
    assert [outcome for outcome, _ in attempts] == ["committed", "committed"], attempts


def test_two_of_the_same_days_are_not_done_at_once(table: Project) -> None:
    refused: list[str | None] = []

    def second() -> None:
        set_hook(None)
        refused.append(fill(table, FIRST + timedelta(days=4), END).held_reason)

    at_commit(2, second)
    fill(table)
    assert refused[0] is not None
    assert f"by process {this_process()}" in refused[0]
    assert open_mirror(table.settings.state_url).status("shop.t").held_reason is None
    table.check("t")


def test_days_that_a_living_process_is_at_cannot_be_taken_over(table: Project) -> None:
    mirror, days = open_mirror(table.settings.state_url), DayRange(FIRST, END)
    begun = begin_backfill(mirror, new_backfill("shop.t", days, "", None), is_anew=False)
    assert begun.process.endswith(f"/{os.getpid()}")
    with pytest.raises(LoadConflict):
        begin_backfill(mirror, new_backfill("shop.t", DayRange(FIRST, FIRST + timedelta(days=1)), "", None), is_anew=False)
    begin_backfill(mirror, new_backfill("shop.u", days, "", None), is_anew=False)


def test_it_reads_only_in_its_hours_and_goes_on_in_the_next_ones(table: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([time(4, 58), time(4, 59), time(5, 0)])
    monkeypatch.setattr(Settings, "local_time", lambda _settings: next(clock))
    table.environment["DAYBREAK_BACKFILL_HOURS"] = "20:00-05:00"
    result = fill(table)
    assert result.unfinished is not None
    assert result.unfinished.startswith("4 of 10 days are done; back-fills may read from 20:00 to 05:00")
    assert len(result.loads) == 2
    (paused,) = left(table)
    assert (paused.state, paused.is_at_work) == ("paused", False)
    monkeypatch.setattr(Settings, "local_time", lambda _settings: time(23, 0))
    assert len(fill(table).loads) == 3
    table.check("t")


def test_sessions_at_work_on_the_source_slow_it_down(table: Project) -> None:
    table.environment["DAYBREAK_BACKFILL_MAX_SESSIONS"] = "1"
    seen: list[Backfill] = []
    stop = threading.Event()

    def work() -> None:
        with psycopg.connect(table.url, autocommit=True) as connection:
            while not stop.is_set():
                connection.execute("select pg_sleep(0.2)")

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        fill(table, watch=seen.append)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    shares = [one.share for one in seen if one.share is not None]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.1
    table.check("t")


def test_a_window_that_a_gate_holds_keeps_none_behind_it_waiting(table: Project) -> None:
    table.run("update t set name = null where id = 28")  # of the first day
    result = fill(table)
    assert result.outcome == "held"
    assert len(result.loads) == 4
    assert table.ask("select count(*) from raw_shop.t where name like '%!'") == [(24,)]
    (held,) = left(table)
    assert (held.state, held.next_day) == ("held", FIRST)
    assert daybreak(table, "gaps").tells("10 days were left by a back-fill", "it waits for a person: gate")
    table.run("update t set name = 'mended' where id = 28")
    assert fill(table).outcome == "committed"
    assert left(table) == []
    table.check("t")


def test_one_that_cannot_reach_its_source_leaves_the_table_as_it_was(table: Project) -> None:
    url, table.url = table.url, "postgresql://nobody@127.0.0.1:1/x"
    result = fill(table)
    table.url = url
    assert result.outcome == "held"
    status = open_mirror(table.settings.state_url).status("shop.t")
    assert status.held_reason is None
    fill(table)
    table.check("t")


def test_days_before_the_start_and_days_that_are_not_over_are_left_out(table: Project) -> None:
    result = fill(table, date(2025, 12, 1), TODAY + timedelta(days=30))
    assert result.outcome == "committed"
    assert table.ask("select count(*) from daybreak.windows where day is not null and day < '2026-01-01'") == [(0,)]
    assert "none of these days" in fill(table, date(2020, 1, 1), date(2020, 1, 5)).note


def test_a_table_is_no_newer_for_days_that_were_asked_for(table: Project) -> None:
    mirror = open_mirror(table.settings.state_url)
    before = mirror.status("shop.t")
    fill(table, FIRST, FIRST + timedelta(days=2))
    after = mirror.status("shop.t")
    assert after.load_id != before.load_id
    assert (after.data_as_of, after.checked_at) == (before.data_as_of, before.data_as_of)
    assert before.watermark is not None
    assert after.watermark is not None
    assert after.watermark.observations == before.watermark.observations


def test_a_source_that_forgot_its_past_does_not_empty_the_days_that_are_asked_for(table: Project) -> None:
    stood = table.ask("select count(*) from raw_shop.t")
    table.run(f"delete from t where at < '{TODAY - timedelta(days=3)}'")
    assert fill(table).outcome == "committed"
    assert table.ask("select count(*) from raw_shop.t") == stood
    table.run("delete from t")
    fill(table)
    assert table.ask("select count(*) from raw_shop.t") == stood


def test_a_day_that_was_changed_in_the_warehouse_is_really_loaded_again(table: Project) -> None:
    fill(table)
    with duckdb.connect(str(table.home / "warehouse.duckdb")) as connection:
        connection.execute("update raw_shop.t set name = 'by hand' where id = 28")
    assert daybreak(table, "reconcile", "shop", "t", "--full").exit_code == 3
    assert daybreak(table, "gaps").tells(f"1 row is not as in the source, on {FIRST}")
    assert fill(table, FIRST, FIRST + timedelta(days=1)).outcome == "committed"
    table.check("t")
    assert daybreak(table, "gaps").exit_code == 0


def test_a_person_who_interrupts_is_heard_before_the_next_chunk(table: Project) -> None:
    stop = threading.Event()
    at_commit(2, stop.set)
    with pytest.raises(Stopped):
        fill(table, stop=stop)
    set_hook(None)
    (one,) = left(table)
    assert (one.state, one.note, one.next_day) == ("paused", "stopped", FIRST + timedelta(days=2))
    fill(table)
    table.check("t")


def test_a_schema_that_waits_for_a_person_stops_it_at_the_first_window(table: Project) -> None:
    declare(table, contract="freeze", expectations=[])
    table.sync("t")
    table.run("alter table t add column more int")
    result = fill(table)
    assert result.outcome == "held"
    assert result.unfinished is not None
    assert result.unfinished.startswith("0 of 10 days are done")
    assert open_mirror(table.settings.state_url).status("shop.t").held_reason is None
