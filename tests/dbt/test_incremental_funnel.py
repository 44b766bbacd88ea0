"""`marts.daily_funnel` against a DuckDB file whose days are loaded, loaded again, emptied and removed.

Two builds, a full and an incremental one, are compared with plain Python over the raw rows, never with the model's own SQL.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

PROJECT = Path(__file__).parents[2] / "dbt_project"
DAYS = [dt.date(2026, 3, 1) + dt.timedelta(days=i) for i in range(8)]
UNCHANGED, LATE_EVENTS, EMPTIED, REMOVED, ADDED, TAMPERED, EMPTY_FROM_THE_START, MIDNIGHT = DAYS
EVENT_TYPES = ("view", "search", "view", "cart", "support", "purchase")
DEVICES = ("mobile", "desktop", "tablet")

Funnel = dict[tuple[dt.date, str], tuple[int, int, int, float, float, str]]


class Warehouse:
    """A DuckDB file with the two tables that the engine would have written."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "warehouse.duckdb"
        self.target = folder / "target"
        self.next_event_id = 1

    def query(self, sql: str, *parameters: object) -> list[tuple]:  # type: ignore[type-arg]
        with duckdb.connect(self.path) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql, parameters).fetchall()

    def create_tables(self) -> None:
        self.query("create schema raw_shop; create schema daybreak")
        self.query("""
            create table raw_shop.events (
                event_id bigint, session_id varchar, customer_id bigint, event_type varchar, device varchar, country varchar,
                email varchar, properties varchar, occurred_at timestamptz, received_at timestamptz,
                _load_id varchar, _loaded_at timestamptz
            )""")
        self.query("""
            create table daybreak.windows (
                source_name varchar, table_name varchar, day date, row_count bigint, digest varchar, load_id varchar,
                committed_at timestamptz
            )""")

    def add_events(self, day: dt.date, count: int, load_id: str) -> None:
        """Five events a session, spread over the whole UTC day, its first and its last second included."""
        first, self.next_event_id = self.next_event_id, self.next_event_id + count
        midnight = dt.datetime.combine(day, dt.time(), dt.UTC)
        rows = [
            (
                i,
                f"session-{i // 5}",
                EVENT_TYPES[i * 7 % 6],
                DEVICES[i // 5 % 3],
                midnight + dt.timedelta(seconds=86399 * (i - first) // max(count - 1, 1)),
                load_id,
            )
            for i in range(first, first + count)
        ]
        with duckdb.connect(self.path) as connection:
            connection.executemany(
                "insert into raw_shop.events"
                " (event_id, session_id, event_type, device, properties, occurred_at, received_at, _load_id, _loaded_at)"
                " select ?, ?, ?, ?, '{}', moment, moment, ?, moment from (select cast(? as timestamptz) as moment)",
                [(i, session, kind, device, load, at) for i, session, kind, device, at, load in rows],
            )

    def commit_day(self, day: dt.date, load_id: str) -> None:
        self.query("delete from daybreak.windows where day = ?", day)
        self.query("insert into daybreak.windows values ('shop', 'events', ?, 0, '', ?, now())", day, load_id)

    def delete_events(self, day: dt.date) -> None:
        self.query("delete from raw_shop.events where cast(occurred_at as date) = ?", day)

    def dbt(self, *arguments: str) -> None:
        command = [str(Path(sys.executable).with_name("dbt")), "--no-use-colors", *arguments]
        command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target", "duckdb"]
        command += ["--target-path", str(self.target), "--log-path", str(self.target)]
        environment = os.environ | {"DAYBREAK_DUCKDB_PATH": str(self.path)}
        result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr

    def read_funnel(self) -> Funnel:
        rows = self.query("""
            select event_date, device, sessions, sessions_with_cart, sessions_with_purchase,
                cast(cart_rate as double), cast(purchase_rate as double), _window_load_id
            from marts.daily_funnel""")
        funnel: Funnel = {(day, device): (*numbers,) for day, device, *numbers in rows}
        assert len(funnel) == len(rows), "a day and device appears twice"
        return funnel

    def compute_funnel(self) -> Funnel:
        """The funnel of the raw rows as they are now, in Python."""
        load_ids = dict(self.query("select day, load_id from daybreak.windows"))
        kinds: dict[tuple[dt.date, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for moment, device, session, kind in self.query("select epoch(occurred_at), device, session_id, event_type from raw_shop.events"):
            kinds[dt.datetime.fromtimestamp(moment, dt.UTC).date(), device][session].add(kind)
        funnel: Funnel = {}
        for (day, device), sessions in kinds.items():
            carts, purchases = (sum(kind in seen for seen in sessions.values()) for kind in ("cart", "purchase"))
            rates = round(carts / len(sessions), 6), round(purchases / len(sessions), 6)
            funnel[day, device] = (len(sessions), carts, purchases, *rates, load_ids[day])
        return funnel


def select_days(funnel: Funnel, *days: dt.date) -> Funnel:
    return {key: numbers for key, numbers in funnel.items() if key[0] in days}


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(tmp_path)
    warehouse.create_tables()
    for number, day in enumerate(DAYS):
        if day == ADDED:
            continue
        if day != EMPTY_FROM_THE_START:
            warehouse.add_events(day, 40 + 7 * number, f"load-1-{day}")
        warehouse.commit_day(day, f"load-1-{day}")
    return warehouse


@pytest.mark.slow
def test_exactly_the_days_whose_load_changed_are_rebuilt(warehouse: Warehouse) -> None:
    warehouse.dbt("build", "--select", "+daily_funnel", "--indirect-selection", "cautious", "--exclude-resource-type", "unit_test")
    first = warehouse.read_funnel()
    assert first == warehouse.compute_funnel()
    assert {day for day, _ in first} == set(DAYS) - {ADDED, EMPTY_FROM_THE_START}

    warehouse.add_events(LATE_EVENTS, 23, "load-2")
    warehouse.commit_day(LATE_EVENTS, "load-2")
    warehouse.delete_events(EMPTIED)
    warehouse.commit_day(EMPTIED, "load-2")
    warehouse.delete_events(REMOVED)
    warehouse.query("delete from daybreak.windows where day = ?", REMOVED)
    warehouse.add_events(ADDED, 30, "load-2")
    warehouse.commit_day(ADDED, "load-2")
    # The engine never does this: rows that change without a load show which days the model did not read again.
    warehouse.add_events(TAMPERED, 50, "load-2")

    warehouse.dbt("build", "--select", "daily_funnel", "--indirect-selection", "cautious", "--exclude-resource-type", "unit_test")
    second, expected = warehouse.read_funnel(), warehouse.compute_funnel()
    rebuilt = (LATE_EVENTS, EMPTIED, REMOVED, ADDED)
    assert select_days(second, *rebuilt) == select_days(expected, *rebuilt)
    assert {day for day, _ in select_days(second, *rebuilt)} == {LATE_EVENTS, ADDED}
    assert select_days(second, UNCHANGED, TAMPERED, MIDNIGHT) == select_days(first, UNCHANGED, TAMPERED, MIDNIGHT)
    assert select_days(second, TAMPERED) != select_days(expected, TAMPERED)
