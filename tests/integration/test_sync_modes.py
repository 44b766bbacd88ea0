"""P0 and the balance for every mode: whatever happened to the source, one more sync makes the warehouse equal to it."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from pipelines.state.mirror import Mirror
from tests.conftest import TODAY, Project

INCREMENTAL = "create table t (id bigint primary key, name text, n int, updated_at timestamptz default now())"


def days_ago(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.fixture
def incremental(project: Project) -> Project:
    project.run(
        INCREMENTAL, "insert into t select i, 'name ' || i, i, '2026-03-01'::timestamptz + i * interval '1 s' from generate_series(1, 30) i"
    )
    project.declare("t", "incremental", key=["id"], cursor="updated_at")
    return project


@pytest.fixture
def snapshot(project: Project) -> Project:
    project.run("create table t (id bigint primary key, name text)", "insert into t select i, 'name ' || i from generate_series(1, 30) i")
    project.declare("t", "snapshot", key=["id"])
    return project


@pytest.fixture
def partitioned(project: Project) -> Project:
    project.run(
        "create table t (id bigint primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{TODAY}'::timestamptz - i * interval '3 h' from generate_series(1, 80) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 2})
    return project


def test_incremental_inserts_and_updates_arrive_and_are_counted(incremental: Project) -> None:
    first = incremental.commit("t").loads[0]
    assert (first.counts.inserted, first.chunks) == (30, 5)
    incremental.run(
        "update t set name = 'new', updated_at = now() where id in (3, 17, 29)", "insert into t (id, name) values (100, 'added')"
    )
    second = incremental.commit("t").loads[0]
    assert (second.counts.inserted, second.counts.updated) == (1, 3)


def test_incremental_ties_wider_than_a_chunk_lose_no_row(incremental: Project) -> None:
    incremental.commit("t")
    incremental.run("update t set name = name || '!', updated_at = '2026-03-09 10:00'")
    incremental.run("insert into t select i, 'tie', i, '2026-03-09 10:00' from generate_series(1000, 1100) i")
    assert incremental.commit("t").loads[0].counts.read >= 131


def test_incremental_cursors_that_differ_in_the_sixth_digit_lose_no_row(incremental: Project) -> None:
    incremental.commit("t")
    incremental.run(
        "insert into t select i, 'close', i, '2026-03-09 10:00'::timestamptz + i * interval '1 us' from generate_series(1000, 1050) i"
    )
    incremental.commit("t")


def test_incremental_null_and_infinite_cursors_neither_block_nor_vanish(incremental: Project) -> None:
    incremental.run("update t set updated_at = null where id < 10", "update t set updated_at = 'infinity' where id in (10, 11)")
    incremental.run("update t set updated_at = '-infinity' where id = 12")
    incremental.commit("t")
    assert sorted(row["key"] for row in incremental.quarantine("t")) == ['["10"]', '["11"]', '["12"]']
    incremental.run("update t set name = 'changed' where id = 5", "update t set updated_at = now() where id = 10")
    incremental.commit("t")
    assert sorted(row["key"] for row in incremental.quarantine("t")) == ['["11"]', '["12"]']


def test_an_unchanged_second_sync_writes_nothing(incremental: Project) -> None:
    incremental.commit("t")
    before = (incremental.home / "warehouse.duckdb").stat().st_mtime_ns
    result = incremental.sync("t")
    assert result.outcome == "unchanged"
    assert incremental.loads() == 1
    assert (incremental.home / "warehouse.duckdb").stat().st_mtime_ns == before
    assert len(incremental.files("t")) == 5


def test_snapshot_inserts_updates_deletes_and_key_updates(snapshot: Project) -> None:
    snapshot.commit("t")
    snapshot.run("delete from t where id in (1, 15)", "update t set name = 'x' where id = 2", "update t set id = 500 where id = 3")
    entry = snapshot.commit("t").loads[0]
    assert (entry.counts.inserted, entry.counts.updated, entry.counts.deleted) == (1, 1, 3)
    snapshot.run("delete from t")
    assert snapshot.commit("t").loads[0].counts.deleted == 28
    assert snapshot.sync("t").outcome == "unchanged"


def test_a_keyless_snapshot_keeps_its_duplicates(project: Project) -> None:
    project.run(
        "create table t (a int, b text)",
        "insert into t select i % 4, 'x' from generate_series(1, 40) i",
        "insert into t values (null, null), (null, null)",
    )
    project.declare("t", "snapshot")
    assert project.commit("t").loads[0].counts.inserted == 42
    project.run("delete from t where ctid in (select ctid from t where a = 1 limit 3)")
    entry = project.commit("t").loads[0]
    assert (entry.counts.inserted, entry.counts.deleted) == (39, 42)


def test_partitioned_inserts_updates_deletes_and_late_rows(partitioned: Project) -> None:
    result = partitioned.commit("t")
    assert sum(entry.counts.inserted for entry in result.loads) == 80 - 0
    partitioned.run(f"insert into t values (900, 'late', '{days_ago(2)}'), (901, 'today', '{TODAY} 05:00+00')")
    partitioned.run("delete from t where id = 4", "update t set name = 'x' where id = 9")
    (entry,) = partitioned.commit("t").loads
    assert (entry.counts.inserted, entry.counts.updated, entry.counts.deleted) == (1, 1, 1)
    assert partitioned.sync("t").outcome == "unchanged"


def test_partitioned_rows_that_move_to_another_day_stand_once(partitioned: Project) -> None:
    partitioned.commit("t")
    partitioned.run(
        f"update t set at = '{days_ago(1)} 01:00+00' where id in (20, 60, 80)", f"update t set at = '{days_ago(3)} 01:00+00' where id = 2"
    )
    partitioned.commit("t")


def test_partitioned_row_that_moved_out_of_an_old_day_and_back_is_found_when_that_day_is_loaded_again(partitioned: Project) -> None:
    """The old day's digest was of the row that has left it, so it must not prove the day unchanged."""
    partitioned.commit("t")
    ((home,),) = partitioned.fetch("select at::text from t where id = 75")
    partitioned.run(f"update t set at = '{days_ago(1)} 01:00+00' where id = 75")
    partitioned.commit("t")
    partitioned.run(f"update t set at = '{home}' where id = 75")
    partitioned.sync("t")
    from pipelines.sync.model import DayRange

    partitioned.sync("t", DayRange(days_ago(12), TODAY))
    partitioned.check("t")


def test_partitioned_null_and_infinite_days(partitioned: Project) -> None:
    partitioned.run("update t set at = null where id in (70, 71)")
    partitioned.commit("t")
    partitioned.run("update t set name = 'x' where id = 70")
    partitioned.commit("t")
    partitioned.run("delete from t where id = 71")
    partitioned.commit("t")


def test_partitioned_days_without_rows_are_committed_and_not_asked_for_again(partitioned: Project) -> None:
    partitioned.run(f"delete from t where at::date = '{days_ago(5)}'")
    partitioned.commit("t")
    assert partitioned.ask(f"select row_count from daybreak.windows where day = '{days_ago(5)}'") == [(0,)]
    assert partitioned.sync("t").outcome == "unchanged"


def test_partitioned_deletes_of_the_newest_days_are_seen(partitioned: Project) -> None:
    partitioned.commit("t")
    partitioned.run(f"delete from t where at >= '{days_ago(2)}'")
    partitioned.commit("t")


def test_partitioned_dates_beyond_the_calendar_of_python_do_not_stop_the_table(partitioned: Project) -> None:
    partitioned.run("insert into t values (901, 'late', '20000-01-01'), (902, 'early', '0044-03-15 BC')")
    result = partitioned.sync("t")
    assert result.outcome == "committed"


@pytest.mark.parametrize("zone", ["America/Chicago", "Pacific/Chatham", "Africa/Cairo"])
def test_days_of_another_time_zone_with_its_clock_changes_lose_no_row(project: Project, zone: str) -> None:
    project.environment |= {"DAYBREAK_TIME_ZONE": zone, "DAYBREAK_TODAY": "2026-05-20"}
    project.run(
        "create table t (at timestamptz, name text)",
        "insert into t select '2026-02-20'::timestamptz + i * interval '1 h', 'row ' || i from generate_series(1, 2300) i",
    )
    project.environment["DAYBREAK_CHUNK_ROWS"] = "500"
    project.declare("t", "partitioned", partition={"column": "at", "start": "2026-03-01", "lookback_days": 2})
    project.commit("t")
    assert project.sync("t").outcome == "unchanged"


def test_empty_tables_of_every_mode_exist_and_then_fill(project: Project) -> None:
    for name, entry in {
        "i": {"mode": "incremental", "key": ["id"], "cursor": "at"},
        "s": {"mode": "snapshot", "key": ["id"]},
        "p": {"mode": "partitioned", "key": ["id"], "partition": {"column": "at", "start": "2026-01-01"}},
    }.items():
        project.run(f"create table {name} (id int primary key, at timestamptz)")
        project.declare(name, **entry)
        project.sync(name)
        project.check(name)
        project.run(f"insert into {name} values (1, '2026-03-05'), (2, '2026-03-06')")
        project.commit(name)


def test_a_held_window_leaves_the_committed_one_and_is_read_again(project: Project) -> None:
    project.run(
        "create table t (id bigint, at timestamptz)",  # no unique index: the gate counts keys
        "insert into t values (1, '2026-01-05'), (1, '2026-01-05 10:00'), (2, '2026-02-20'), (3, '2026-03-04')",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"})
    result = project.sync("t")
    assert result.outcome == "held"
    assert "key_is_unique" in (result.held_reason or "")
    assert result.loads
    project.run("delete from t where id = 1 and at = '2026-01-05'")
    project.commit("t")


def test_days_that_are_too_many_for_one_run_are_told_and_the_table_is_not_called_newer_than_they_are(partitioned: Project) -> None:
    partitioned.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"] = "4"
    days = [str(day) for (day,) in partitioned.fetch(f"select distinct (at at time zone 'UTC')::date::text from t where at < '{TODAY}'")]
    days.sort()
    missing, synced = days, 0
    while len(missing) > 4:
        result = partitioned.sync("t")
        synced += 1
        missing = missing[4:]
        assert f"to {missing[-1]} are left to the next sync" in result.note
        mirror = Mirror(partitioned.settings.state_url)
        for status in (mirror.status("shop.t"), *result.loads):
            assert status.data_as_of
            assert status.data_as_of <= datetime.fromisoformat(f"{missing[0]}T00:00:00+00:00")
        assert partitioned.ask("select max(t.at)::date::varchar from raw_shop.t") == [(days[4 * synced - 1],)]
        mirror.engine.dispose()
    assert synced >= 2
    partitioned.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"] = "400"
    assert "are left" not in partitioned.commit("t").note
    partitioned.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"] = "2"  # fewer than the look-back, which must not starve new days
    partitioned.environment["DAYBREAK_TODAY"] = str(TODAY + timedelta(days=1))
    partitioned.run(f"insert into t values (900, 'new', '{TODAY} 10:00')")
    partitioned.commit("t")


def test_partitioned_rows_of_a_transaction_that_is_open_for_longer_than_the_look_back_are_not_lost(partitioned: Project) -> None:
    today = datetime.now(UTC).date()
    partition = {"column": "at", "start": "2026-01-01", "lookback_days": 0}
    partitioned.declare("t", "partitioned", key=["id"], partition=partition)
    partitioned.run(
        "truncate t", f"insert into t select i, 'n', '{today}'::timestamptz + i * interval '6 h' from generate_series(-8, 40) i"
    )

    def sync(days_later: int) -> None:
        partitioned.environment["DAYBREAK_TODAY"] = str(today + timedelta(days=days_later))
        partitioned.commit("t")

    sync(4)
    with psycopg.connect(partitioned.url) as session:
        session.execute("insert into t values (1000, 'late', now())")
        for days_later in (6, 7):
            sync(days_later)
        session.commit()
    sync(8)
    assert partitioned.sync("t").outcome == "unchanged"
