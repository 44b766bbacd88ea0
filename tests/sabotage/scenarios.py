"""The tables that are sabotaged, one for each way in which the pipeline works, and what happens to them before and meanwhile.

``begin`` loads the table as it should be and then changes the source; ``story`` is what the pipeline does next, with a defect in it.
A story that changes the source says in ``undo`` how it becomes what it was, so that each mutation meets the same rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg

from pipelines.reconcile import ReconcileRequest, reconcile_tables
from pipelines.sync import steps
from tests.conftest import Project
from tests.sabotage import tables


@dataclass(frozen=True)
class Scenario:
    """A table, how it came to be as it is, and what the pipeline does then."""

    table: str
    mode: str
    entry: dict[str, Any]
    make: tuple[str, ...]
    change: tuple[str, ...]
    story: Callable[[Project, str], None]
    undo: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)

    def begin(self, project: Project) -> None:
        """Load the table, and change the source after it."""
        project.environment.update(self.environment)
        project.declare(self.table, self.mode, **self.entry)
        project.run(*self.make)
        project.commit(self.table)
        project.run(*self.change)


def sync(project: Project, table: str) -> None:
    project.sync(table)


def sync_and_heal(project: Project, table: str) -> None:
    project.sync(table)
    (result,) = reconcile_tables(project.settings, ReconcileRequest("shop", table, is_healing=True))
    assert result.outcome != "held", result.reason


def sync_beside_a_writer(project: Project, table: str) -> None:
    """Sync while a transaction is open, whose row has an older cursor than what is read; then it ends, and a tie comes."""
    with psycopg.connect(project.url) as late:
        late.execute("insert into ticks values (41, 41)")
        project.run("insert into ticks select i, i from generate_series(42, 45) i")
        project.sync(table)
    project.run("insert into ticks values (46, 45)", "insert into ticks select i, i from generate_series(47, 50) i")
    project.sync(table)


def sync_before_a_tie(project: Project, table: str) -> None:
    """Sync, and once more after a row came whose cursor is just the greatest that was read."""
    project.run(f"insert into {table} select i, i from generate_series(41, 45) i")
    project.sync(table)
    project.run(f"insert into {table} values (46, 45)", f"insert into {table} select i, i from generate_series(47, 50) i")
    project.sync(table)


def sync_around_an_update(project: Project, table: str) -> None:
    """Sync, and once more after some rows changed, and no row came or went."""
    project.sync(table)
    project.run(f"update {table} set n = n + 1000 where id < 10")
    project.sync(table)


def sync_while_a_row_moves(project: Project, table: str) -> None:
    """Sync while a row that was read in the first chunk is updated, so that it is read again in a later one."""
    moves = ["update moving set n = 1000, version = 85 where id = 41"]

    def write(name: str, moment: str) -> None:
        if name == "land.chunk" and moment == "after" and moves:
            project.run(moves.pop())

    steps.set_hook(write)
    try:
        project.sync(table)
    finally:
        steps.set_hook(None)


SCENARIOS = {
    "orders": Scenario(
        "orders",
        "incremental",
        {"key": ["region", "id"], "cursor": "updated_at", "deletes": "reconcile"},
        tables.MAKE_ORDERS,
        tables.CHANGE_ORDERS,
        sync,
    ),
    "ticks": Scenario(
        "ticks",
        "incremental",
        {"key": ["id"], "cursor": "version", "deletes": "reconcile"},
        ("create table ticks (id int primary key, version int)", "insert into ticks select i, i from generate_series(1, 40) i"),
        (),
        sync_beside_a_writer,
        ("delete from ticks where id > 40",),
    ),
    "ties": Scenario(
        "ties",
        "incremental",
        {"key": ["id"], "cursor": "version", "deletes": "reconcile"},
        ("create table ties (id int primary key, version int)", "insert into ties select i, i from generate_series(1, 40) i"),
        (),
        sync_before_a_tie,
        ("delete from ties where id > 40",),
    ),
    "moving": Scenario(
        "moving",
        "incremental",
        {"key": ["id"], "cursor": "version", "deletes": "reconcile"},
        (
            "create table moving (id int primary key, n int, version int)",
            "insert into moving select i, i, i from generate_series(1, 40) i",
        ),
        ("insert into moving select i, i, i from generate_series(41, 90) i",),
        sync_while_a_row_moves,
        ("update moving set n = 41, version = 41 where id = 41",),
    ),
    "accounts": Scenario(
        "accounts",
        "incremental",
        {"key": ["id"], "cursor": "updated_at", "deletes": "reconcile"},
        tables.MAKE_ACCOUNTS,
        tables.CHANGE_ACCOUNTS,
        sync_and_heal,
    ),
    "events": Scenario(
        "events",
        "partitioned",
        {"key": ["id"], "partition": {"column": "occurred_at", "start": "2026-03-01", "lookback_days": 2}},
        tables.MAKE_EVENTS,
        tables.CHANGE_EVENTS,
        sync,
        environment={"DAYBREAK_TIME_ZONE": "Europe/Berlin"},
    ),
    "prices": Scenario(
        "prices",
        "snapshot",
        {"key": ["id"]},
        ("create table prices (id int primary key, n int)", "insert into prices select i, i from generate_series(1, 40) i"),
        ("insert into prices values (41, 41)",),
        sync_around_an_update,
        ("update prices set n = n - 1000 where id < 10",),
    ),
    "stock": Scenario("stock", "snapshot", {"key": ["sku"]}, tables.MAKE_STOCK, tables.CHANGE_STOCK, sync),
    "lines": Scenario("lines", "snapshot", {}, tables.MAKE_LINES, tables.CHANGE_LINES, sync),
}
