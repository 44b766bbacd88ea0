"""A source that does not hold still: tables of every mode, and a writer that changes them as long as it is let.

Every change keeps to what the tables' entries promise to follow: rows are deleted and keys change in snapshots and in the days that are
read again, never in incremental tables; late events stay within ``lookback_days``.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg import errors

TABLES: tuple[dict[str, Any], ...] = (
    {"name": "orders", "mode": "incremental", "key": ["id"], "cursor": "updated_at"},
    {"name": "counters", "mode": "incremental", "key": ["id"], "cursor": "seq"},
    {"name": "stock", "mode": "snapshot", "key": ["sku"]},
    {"name": "events", "mode": "partitioned", "key": ["id"], "partition": {"column": "at", "start": "2026-01-15", "lookback_days": 3}},
    {"name": "clicks", "mode": "snapshot"},
    {"name": "labels", "mode": "snapshot", "key": ["name"]},
)
CREATE = """
create sequence numbers;
create table orders (id int primary key, amount numeric(12, 2), note text, qty smallint, updated_at timestamptz default now());
create index on orders (updated_at, id);
create table counters (id int primary key, note text, qty smallint, seq bigint not null default nextval('numbers') unique);
create table stock (sku text primary key, note text, qty smallint);
create table events (id numeric(12, 0) primary key, at timestamptz, amount numeric(12, 2), note text, qty smallint);
create index on events (at, id);
create table clicks (note text, qty smallint);
create table labels (name text unique, note text, qty smallint);
insert into orders select i, i, 'first', i % 100, now() - i * interval '1 min' from generate_series(1, 400) i;
insert into counters (id, note, qty) select i, 'first', i % 100 from generate_series(1, 300) i;
insert into stock select 'sku ' || i, 'first', i % 100 from generate_series(1, 300) i;
insert into events
    select i, '2026-03-09 22:00Z'::timestamptz - (i % 1270) * interval '1 hour', i, 'first', 1 from generate_series(1, 900) i;
insert into clicks select 'click ' || i % 40, i % 5 from generate_series(1, 300) i;
insert into labels select case when i % 50 > 0 then 'label ' || i end, 'first', 1 from generate_series(1, 200) i
"""
WIDER = {"smallint": "int", "integer": "bigint", "bigint": "numeric", "numeric": "text"}
MOST_ROWS = 1_200
LATE = "'2026-03-09 23:59Z'::timestamptz - {minutes} * interval '1 min'"  # within the days that are read again
LATE_MINUTES = 4 * 24 * 60 - 1
# Somebody else has the row or the table; the application would try again later.
BUSY = (errors.LockNotAvailable, errors.DeadlockDetected, errors.UniqueViolation)


class Writer:
    """Changes the source in a thread of its own, between ``resume`` and ``pause``."""

    def __init__(self, url: str, seed: int) -> None:
        self.done: Counter[str] = Counter()
        self.migrated: Counter[str] = Counter()  # by table: whatever was being read of it is read anew
        self.failure: BaseException | None = None
        self._url, self._random, self._next = url, random.Random(seed), 10_000
        self._may_write, self._is_idle, self._is_over = threading.Event(), threading.Event(), threading.Event()
        self._open: psycopg.Connection | None = None
        self._ends_at = 0.0
        self._prepared: list[str] = []
        self._thread = threading.Thread(target=self._work, name="writer", daemon=True)

    def start(self) -> None:
        with psycopg.connect(self._url) as connection:
            connection.execute(CREATE)
        self._thread.start()
        self.resume()

    def resume(self) -> None:
        self._is_idle.clear()
        self._may_write.set()

    def pause(self) -> None:
        """Return once every transaction of the source has ended."""
        self._may_write.clear()
        while not self._is_idle.wait(0.1):
            self._raise_failure()
        self._raise_failure()

    def stop(self) -> None:
        self._is_over.set()
        self._may_write.set()
        self._thread.join()

    def _raise_failure(self) -> None:
        if self.failure:
            raise self.failure

    def _work(self) -> None:
        try:
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute("set lock_timeout = 200")
                while not self._is_over.is_set():
                    if not self._may_write.is_set():
                        self._end_open_transaction(connection)
                        self._end_prepared(connection)
                        self._is_idle.set()
                        self._may_write.wait()
                        continue
                    self._act(connection)
                    time.sleep(self._random.uniform(0.005, 0.03))
        except BaseException as error:
            self.failure = error
        finally:
            if self._open:
                self._open.close()

    def _act(self, connection: psycopg.Connection) -> None:
        kind, action = self._random.choices(
            [
                ("change", self._change),
                ("change several", self._change_several),
                ("bad row", self._write_bad_row),
                ("good again", self._mend_bad_rows),
                ("migration", self._migrate),
                ("open transaction", self._hold_transaction),
            ],
            weights=[70, 12, 3, 2, 0.6, 4],
        )[0]
        try:
            with connection.transaction():
                action(connection)
            self.done[kind] += 1
        except BUSY:
            self.done["waited in vain"] += 1

    def _run(self, connection: psycopg.Connection, sql: str) -> None:
        connection.execute(sql)  # type: ignore[arg-type]

    def _change_several(self, connection: psycopg.Connection) -> None:
        for _ in range(self._random.randint(2, 30)):
            self._change(connection)

    def _change(self, connection: psycopg.Connection) -> None:
        changes: dict[str, Callable[[int, int], str]] = {
            "orders": self._change_incremental,
            "counters": self._change_incremental,
            "stock": self._change_stock,
            "events": self._change_events,
            "clicks": self._change_clicks,
            "labels": self._change_labels,
        }
        table = self._random.choice(list(changes))
        old, new, self._next = self._random.randint(1, 400), self._next, self._next + 1
        self._table = table
        self._run(connection, changes[table](old, new))

    def _room(self, table: str) -> str:
        return f"where (select count(*) from {table}) < {MOST_ROWS}"

    def _change_incremental(self, old: int, new: int) -> str:
        table, value = self._table, self._random.randint(0, 99)
        stamp = {
            "orders": ("updated_at", self._random.choice(["now()"] * 6 + ["clock_timestamp()", "null"])),
            "counters": ("seq", "default"),
        }
        column, now = stamp[table]
        if self._random.random() < 0.4:
            now = "nextval('numbers')" if now == "default" else now
            return f"insert into {table} (id, note, qty, {column}) select {new}, 'new', '{value}', {now} {self._room(table)}"
        return f"update {table} set note = 'v{new}', qty = '{value}', {column} = {now} where id = {old}"

    def _change_stock(self, old: int, new: int) -> str:
        return self._random.choice(
            [
                f"insert into stock select 'sku {new}', 'new', '1' {self._room('stock')}",
                f"update stock set note = 'v{new}' where sku = 'sku {old}'",
                f"update stock set sku = 'SKU {new}' where sku = (select sku from stock order by sku offset {old} limit 1)",
                f"delete from stock where sku = (select sku from stock order by sku desc offset {old} limit 1)",
            ]
        )

    def _change_events(self, old: int, new: int) -> str:
        # Few instants and few notes, so that rows also become what they were before, and often go to no day and come back.
        at = LATE.format(minutes=self._random.randrange(0, LATE_MINUTES, 240)) if self._random.random() < 0.8 else "null"
        recent, note = f"(at > {LATE.format(minutes=LATE_MINUTES)} or at is null)", self._random.choice(["'A'", f"'v{new}'"])
        return self._random.choice(
            [
                f"insert into events (id, at, note, qty) select {new}, {at}, 'late', '2' {self._room('events')}",
                f"update events set note = {note}, at = {at} "
                f"where id = (select id from events where {recent} order by id limit 1 offset {old})",
                f"update events set note = {note} where id = (select min(id) from events where {recent} and id > {old})",
                f"delete from events where id = (select max(id) from events where {recent})",
            ]
        )

    def _change_clicks(self, old: int, new: int) -> str:
        return self._random.choice(
            [
                f"insert into clicks (note, qty) select 'click {old % 40}', '1' {self._room('clicks')}",
                f"update clicks set note = 'click {new % 50}' where note = 'click {old % 40}'",
                "delete from clicks where ctid = (select min(ctid) from clicks)",
            ]
        )

    def _change_labels(self, old: int, new: int) -> str:
        name = f"'label {new}'" if self._random.random() < 0.8 else "null"
        return self._random.choice(
            [
                f"insert into labels (name, note, qty) select {name}, 'n{new}', '1' {self._room('labels')}",
                f"update labels set name = {name} where name = 'label {old}'",
                f"update labels set note = 'v{new}', name = 'LABEL {new}' where ctid = (select min(ctid) from labels where name is null)",
                f"delete from labels where name = (select min(name) from labels where name > 'label {old}')",
            ]
        )

    def _write_bad_row(self, connection: psycopg.Connection) -> None:
        key = self._random.randint(1, 400)
        recent = f"at > {LATE.format(minutes=LATE_MINUTES)}"
        self._run(
            connection,
            self._random.choice(
                [
                    f"update orders set amount = 'NaN', updated_at = now() where id = {key}",
                    f"update orders set updated_at = 'infinity' where id = {key}",
                    f"update events set amount = 'NaN' where id = (select min(id) from events where {recent} and id > {key})",
                ]
            ),
        )

    def _mend_bad_rows(self, connection: psycopg.Connection) -> None:
        self._run(connection, "update orders set amount = 1, updated_at = now() where amount = 'NaN' or updated_at = 'infinity'")
        self._run(connection, "update events set amount = 1 where amount = 'NaN'")

    def _migrate(self, connection: psycopg.Connection) -> None:
        table = self._random.choice(TABLES)["name"]
        found = connection.execute(
            "select attname, format_type(atttypid, null) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 and not attisdropped",
            [table],
        ).fetchall()
        kinds = dict(found)
        extra = [name for name in kinds if name.startswith("extra_")]
        self._next += 1
        choices = [f"alter table {table} add column extra_{self._next} int default {self._next}"]
        if extra:
            choices.append(f"alter table {table} rename column {extra[0]} to extra_{self._next}")
            choices.append(f"alter table {table} drop column {extra[0]}")
        if kinds["qty"] in WIDER:
            choices.append(f"alter table {table} alter column qty type {WIDER[kinds['qty']]}")
        self._run(connection, self._random.choice(choices))
        self.migrated[table] += 1

    def _hold_transaction(self, connection: psycopg.Connection) -> None:
        """Open a transaction that lasts over several syncs, or go on with the one that is open."""
        if self._open is None:
            self._open = psycopg.connect(self._url)
            self._open.execute("set lock_timeout = 200")
            self._open.commit()
            self._ends_at = time.monotonic() + self._random.uniform(1, 25)
            self._open.execute("select 1")  # its now() is of this moment, whenever it writes
            if self._random.random() < 0.5:
                self._write_in_open()
        elif time.monotonic() > self._ends_at:
            self._end_open_transaction(connection)
        elif self._random.random() < 0.3:
            self._write_in_open()

    def _write_in_open(self) -> None:
        assert self._open
        with self._open.transaction():
            self._change(self._open)

    def _end_open_transaction(self, connection: psycopg.Connection) -> None:
        if self._open is None:
            return
        held, self._open = self._open, None
        with contextlib.closing(held):  # also if the server refuses what is asked
            match self._random.choice(["commit", "commit", "rollback", "prepare"]):
                case "commit":
                    held.commit()
                case "rollback":
                    held.rollback()
                case _:
                    name = f"late {self._next}"
                    held.execute(f"prepare transaction '{name}'")  # type: ignore[arg-type]
                    self._prepared.append(name)

    def _end_prepared(self, connection: psycopg.Connection) -> None:
        for name in self._prepared:
            self._run(connection, f"{self._random.choice(['commit', 'rollback'])} prepared '{name}'")
        self._prepared.clear()
