"""What the state remembers: rows that stay bad, days of another time zone, chunks that a crash or a disk has damaged."""

import pytest

from pipelines.errors import ConfigError
from pipelines.sources import open_source
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
