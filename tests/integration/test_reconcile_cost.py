"""What a comparison costs the source: few rows travel, few ranges are read, and a table that is being written gives no false alarm."""

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from pipelines.sources.postgres_connection import Connection
from pipelines.sync import parity
from pipelines.warehouses import duckdb
from tests.conftest import TODAY, Project
from tests.integration.comparing import make_orders, named, reconcile

pytestmark = pytest.mark.slow


@dataclass
class Traffic:
    """What was asked of a source for the comparison itself."""

    statements: list[str] = field(default_factory=list)
    rows: int = 0


@pytest.fixture
def traffic(monkeypatch: pytest.MonkeyPatch) -> Traffic:
    seen, ask = Traffic(), Connection.rows

    def count(self: Connection, sql: str) -> list[dict[str, Any]]:
        found = ask(self, sql)
        if "convert_to" in sql or "md5(" in sql:
            seen.statements.append(sql)
            seen.rows += len(found)
        return found

    monkeypatch.setattr(Connection, "rows", count)
    return seen


def test_one_bad_row_of_a_bucket_of_100_000_is_found_by_reading_few_rows(project: Project, traffic: Traffic) -> None:
    project.environment["DAYBREAK_CHUNK_ROWS"] = "50000"
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{TODAY}'::timestamptz - interval '3 days' from generate_series(1, 100000) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 1})
    project.sync("t")
    project.run("update t set name = 'bad' where id = 77777")
    found = reconcile(project)
    assert (named(found), found.source_rows) == ({"77777": "different"}, 100_000)
    # The day, the rows in no day, the day's 256 parts, the rows of one part, and the row itself twice.
    assert len(traffic.statements) == 6, traffic.statements
    assert traffic.rows < 1 + 256 + 600 + 2


def test_a_text_key_is_read_in_pages_of_a_chunk(project: Project, traffic: Traffic) -> None:
    project.run("create table t (id text primary key, n int, at timestamptz)")
    project.run("insert into t select md5(i::text), i, '2026-03-01' from generate_series(1, 30) i")
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    project.run("update t set n = 0 where n = 17")
    found = reconcile(project)
    assert (found.different, found.source_rows) == (1, 30)
    pages = [sql for sql in traffic.statements if "group by 1" in sql]
    assert len(pages) == 5  # 30 rows in chunks of 7


def test_only_ranges_that_can_have_changed_are_read_and_each_within_a_period(
    project: Project, traffic: Traffic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity, "SMALL_ROWS", 0)
    monkeypatch.setattr(parity, "RANGE_ROWS", 32)
    make_orders(project, 1000)
    first = reconcile(project)
    assert first.hashed_buckets == first.buckets > 10
    traffic.statements.clear()
    second = reconcile(project)
    assert second.outcome == "equal"
    assert second.hashed_buckets <= second.buckets // parity.NIGHTS + 1
    assert second.source_rows == second.warehouse_rows == 1000
    assert sum("group by 1" in sql for sql in traffic.statements) <= second.hashed_buckets

    project.run("insert into t values (1001, 'new', 1, '2026-03-05')")
    project.commit("t")
    assert reconcile(project).source_rows == 1001  # the last range is not what it was

    project.run("update t set name = 'back-dated' where id = 500", "insert into t values (-40, 'back-dated', 1, '2026-01-01')")
    nights, seen = 0, set[str]()
    while seen != {"500", "-40"}:
        nights += 1
        assert nights <= parity.NIGHTS
        seen |= set(named(reconcile(project)))
    assert set(named(reconcile(project, is_full=True))) == {"500", "-40"}


def test_what_was_done_to_the_warehouse_by_hand_is_found_the_same_night(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import duckdb

    monkeypatch.setattr(parity, "SMALL_ROWS", 0)
    monkeypatch.setattr(parity, "RANGE_ROWS", 32)
    make_orders(project, 1000)
    reconcile(project)
    with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:
        connection.execute("update raw_shop.t set n = -1 where id in (3, 503, 997)")
    assert set(named(reconcile(project))) == {"3", "503", "997"}


def test_a_large_table_is_hashed_in_pieces_so_that_others_get_the_warehouse(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    make_orders(project, 100)
    whole = reconcile(project)
    digests = project.ask("select bucket, warehouse_rows, warehouse_digest from daybreak.parity order by 1")
    monkeypatch.setattr(duckdb, "PIECE_ROWS", 7)
    pieces = reconcile(project)
    assert (pieces.outcome, pieces.warehouse_rows) == (whole.outcome, 100)
    assert project.ask("select bucket, warehouse_rows, warehouse_digest from daybreak.parity order by 1") == digests


def test_a_table_that_is_written_while_it_is_compared_gives_no_false_alarm(project: Project) -> None:
    project.environment["DAYBREAK_CHUNK_ROWS"] = "5000"
    make_orders(project, 300, deletes="reconcile")
    stop = threading.Event()

    def write() -> None:
        number = 0
        with psycopg.connect(project.url, autocommit=True) as connection:
            while not stop.is_set():
                number += 1
                connection.execute("update t set name = name || '!', updated_at = now() where id = %s", [number % 300 + 1])
                connection.execute("insert into t values (%s, 'new', 1, now())", [1000 + number])
                stop.wait(0.002)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for turn in range(6):
            result = reconcile(project)
            assert result.outcome == "equal", result
            if turn % 2:
                project.sync("t")
    finally:
        stop.set()
        writer.join()


def test_a_row_of_a_transaction_that_was_open_during_the_sync_is_late_and_no_difference(project: Project) -> None:
    make_orders(project)
    with psycopg.connect(project.url) as writer:
        writer.execute("insert into t values (100, 'open', 1, now())")
        project.run("insert into t values (101, 'newer', 1, now() + interval '1 ms')")
        project.sync("t")
        writer.commit()
    result = reconcile(project)
    assert (result.outcome, result.late) == ("equal", 1)
    project.commit("t")
    assert (reconcile(project).outcome, reconcile(project).late) == ("equal", 0)


def test_buckets_are_due_once_a_period_and_whenever_they_are_not_what_was_proven() -> None:
    now, cut = datetime(2026, 3, 10, tzinfo=UTC), parity.Cut("range", 3)
    digest = parity.Digest(10**6, 1)
    stored = {f"3.{n}/": parity.StoredBucket(digest, digest, now - timedelta(days=n % 3, seconds=n)) for n in range(70)}
    warehouse = dict.fromkeys(stored, digest)
    due = parity.choose_due(cut, stored, warehouse, now)
    assert len(due) == 10
    assert min(stored[name].checked_at for name in stored if name not in due) >= max(stored[name].checked_at for name in due)
    assert "3.1/" in parity.choose_due(cut, stored, warehouse | {"3.1/": parity.Digest(10**6, 2)}, now)
    assert "3.99/" in parity.choose_due(cut, stored, warehouse | {"3.99/": digest}, now)
    assert "3.1/" in parity.choose_due(cut, stored, {name: one for name, one in warehouse.items() if name != "3.1/"}, now)
    old = parity.StoredBucket(digest, digest, now - timedelta(days=6, hours=1))
    assert len(parity.choose_due(cut, dict.fromkeys(stored, old), warehouse, now)) == 70
    broken = parity.StoredBucket(parity.Digest(1, 1), digest, now)
    assert "3.1/" in parity.choose_due(cut, stored | {"3.1/": broken}, warehouse, now)
