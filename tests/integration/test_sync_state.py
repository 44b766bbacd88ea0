"""What the state remembers: rows that stay bad, days of another time zone, chunks that a crash or a disk has damaged."""

import time
from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest
from ulid import ULID

from pipelines.errors import ConfigError
from pipelines.sources import open_source
from pipelines.state.mirror import Mirror
from pipelines.sync.steps import set_hook
from tests.conftest import Project

POSITIVE = {"expect_column_values_to_be_between": {"column": "fee", "min_value": 0}, "on_failure": "quarantine"}


def test_a_row_that_stays_bad_keeps_its_one_quarantine_entry(project: Project) -> None:
    project.run(
        "create table t (id int primary key, fee int)",
        "insert into t select i, i from generate_series(1, 30) i",
        "insert into t values (0, -1)",
    )
    project.declare("t", "snapshot", key=["id"], expectations=[POSITIVE])
    project.commit("t")
    (first,) = project.ask("select load_id from daybreak.quarantine")
    project.run("insert into t values (31, 1), (-1, -2)")
    project.commit("t")
    assert project.ask("select state, count(*) from daybreak.quarantine group by state") == [("open", 2)]
    assert project.ask("select load_id from daybreak.quarantine where key = '[\"0\"]'") == [first]
    project.run("update t set fee = 1 where id = 0", "update t set fee = -3 where id = -1")
    project.commit("t")
    assert project.ask("select state, count(*) from daybreak.quarantine group by state order by state") == [("fixed", 2), ("open", 1)]


def test_days_of_another_time_zone_are_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run(
        "create table t (id int primary key, at timestamptz not null)",
        "insert into t select i, '2026-01-01'::timestamptz + i * interval '1 hour' from generate_series(1, 400) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"})
    project.environment["DAYBREAK_TIME_ZONE"] = "Asia/Kolkata"
    project.sync("t")
    project.environment["DAYBREAK_TIME_ZONE"] = "UTC"
    project.run("insert into t values (1000, '2026-01-02 20:00+00')")
    project.commit("t")
    assert project.sync("t").outcome == "unchanged"


def test_a_damaged_chunk_of_an_unfinished_load_is_read_again(project: Project) -> None:
    project.run("create table t (id int primary key, at timestamptz default now())", "insert into t select i from generate_series(1, 60) i")
    project.declare("t", "incremental", key=["id"], cursor="at")
    with pytest.raises(KeyboardInterrupt):
        _stop_before(project, "gate")
    files = sorted(project.files("t"))
    assert len(files) > 3
    files[1].write_bytes(b"garbage")
    files[2].unlink()
    project.commit("t")


def _stop_before(project: Project, name: str) -> None:
    def stop(step: str, moment: str) -> None:
        if (step, moment) == (name, "before"):
            raise KeyboardInterrupt

    set_hook(stop)
    try:
        project.sync("t")
    finally:
        set_hook(None)


def test_a_password_with_an_at_sign_is_refused_before_anybody_prints_it() -> None:
    with pytest.raises(ConfigError) as caught, open_source("shop", "postgresql://bob:S3cr@etPw@127.0.0.1:1/shop"):
        pass
    assert "%40" in str(caught.value)
    assert "etPw" not in str(caught.value)


@pytest.mark.parametrize("mode", ["incremental", "partitioned", "snapshot"])
def test_a_clock_that_was_ahead_once_does_not_block_the_table(project: Project, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return cls.fromtimestamp(time.time() + 400 * 86_400, tz)

    project.run("create table t (id int primary key, at timestamptz default now())", "insert into t values (1, '2026-03-09')")
    partition = {"column": "at", "start": "2026-03-01", "lookback_days": 5}
    declared: dict[str, Any] = {"incremental": {"cursor": "at"}, "partitioned": {"partition": partition}, "snapshot": {}}[mode]
    project.declare("t", mode, key=["id"], **declared)
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.warehouses.load_commit.datetime", Ahead)
        patched.setattr("pipelines.sync.engine.ULID", lambda: ULID.from_datetime(Ahead.now(UTC)))
        project.commit("t")
    for number in (2, 3):
        project.run(f"insert into t values ({number}, '2026-03-09 0{number}:00')")
        project.run("update t set at = clock_timestamp()" if mode == "incremental" else "select 1")
        (entry,) = project.commit("t").loads
        mirror = Mirror(project.settings.state_url)
        assert mirror.status("shop.t").load_id == entry.load_id
        assert mirror.last_entries("shop.t")[0]["load_id"] == entry.load_id
        mirror.engine.dispose()
    assert project.sync("t").outcome == "unchanged"
