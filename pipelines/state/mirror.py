"""The mirror: a rebuildable copy of the warehouse's truth, plus what is not transactional. SQLite in WAL mode, or PostgreSQL.

It is written after a commit and repaired from the ledger whenever the warehouse is asked, so it may lag and never lead.
Everything that only looks (status, sensors, dashboards) reads it and leaves the warehouse asleep.
"""

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from ulid import ULID

from pipelines.state import tables as t
from pipelines.state.database import open_database
from pipelines.state.rows import day_rows, entry_row, iso, table_row, version_row
from pipelines.state.status import TableStatus, read_status
from pipelines.sync import codec
from pipelines.sync.model import DayDigest, LedgerEntry, SchemaVersion, Watermark
from pipelines.sync.protocols import WarehouseState
from pipelines.sync.shape import TableSchema

_NOT_HELD: Mapping[str, Any] = {
    **dict.fromkeys(("held_reason", "held_at", "held_load_id", "held_since", "held_morning")),
    "held_mornings": 0,
}


class Attempt:
    """One try to sync a table: its phase and a heartbeat, for people who watch and for those who find the wreck."""

    def __init__(self, mirror: "Mirror", attempt_id: str) -> None:
        """Keep the identity."""
        self._mirror, self._id = mirror, attempt_id

    def note(self, phase: str, rows_read: int) -> None:
        """Say what is being done now."""
        self._mirror.write(
            sa.update(t.attempts).where(t.attempts.c.attempt_id == self._id).values(phase=phase, rows_read=rows_read, heartbeat_at=now())
        )

    def finish(self, outcome: str, error: str | None = None) -> None:
        """Say how it ended."""
        at = now()
        values = {"outcome": outcome, "error": error, "finished_at": at, "heartbeat_at": at}
        self._mirror.write(sa.update(t.attempts).where(t.attempts.c.attempt_id == self._id).values(**values))


class Mirror:
    """The state database of a project. Safe to use from several threads and processes."""

    def __init__(self, url: str) -> None:
        """Open (and if need be make) the database behind ``url``."""
        self._url = url

    @cached_property
    def engine(self) -> sa.Engine:
        """The SQLAlchemy engine, made at the first use."""
        return open_database(self._url)

    def write(self, *statements: sa.Executable) -> None:
        """Run statements in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(statement)

    def read(self, statement: sa.Select[Any]) -> Sequence[sa.Row[Any]]:
        """Return the rows of a query."""
        with self.engine.connect() as connection:
            return connection.execute(statement).fetchall()

    # -- the copy of the truth

    def repair(self, state: WarehouseState, table_ids: Sequence[str]) -> None:
        """Make the copy of ``table_ids`` equal to the warehouse's state; another warehouse's copy is thrown away first."""
        known = self.read(sa.select(t.identity.c.warehouse_id))
        is_other = not known or known[0][0] != state.warehouse_id
        statements: list[sa.Executable] = []
        if is_other:
            statements += [sa.delete(table) for table in t.COPIES]
            statements.append(sa.insert(t.identity).values(warehouse_id=state.warehouse_id, place=state.place))
        statements.append(sa.update(t.identity).values(place=state.place))
        newest = {f"{entry.source}.{entry.table}": entry for entry in state.entries}
        statuses = {} if is_other else {status.table_id: status for status in self.statuses()}
        for table_id in table_ids:
            known_approvals = frozenset() if is_other else self.approvals(table_id)
            new = [item for item in state.approvals.get(table_id, ()) if item not in known_approvals]
            statements += [self.upserting(t.approvals, {"table_id": table_id, "approval": item}) for item in new]
            if compared := state.compared.get(table_id):
                statements.append(self.upserting(t.parity, {"table_id": table_id, "result": dict(compared)}))
            entry, version = newest.get(table_id), state.newest(table_id)
            known_load = statuses[table_id].load_id if table_id in statuses else None
            known_version = statuses[table_id].schema_version if table_id in statuses else 0
            is_known = (known_load, known_version) == (entry.load_id if entry else None, version.version if version else 0)
            if table_id not in statuses or not is_known:
                statements += self._copy(table_id, entry, state)
        self.write(*statements)

    def agrees(self, table_id: str, place: str) -> bool:
        """Whether all that ``place`` has of a table is known, if nobody works there without this mirror."""
        known = self.read(sa.select(t.identity.c.place))
        table = self.read(sa.select(t.tables.c.table_id).where(t.tables.c.table_id == table_id))
        return bool(known and table) and known[0][0] == place and self.pending_load(table_id) is None

    def pending_load(self, table_id: str) -> str | None:
        """Return the load that was about to commit and whose outcome is not known."""
        found = self.read(sa.select(t.tables.c.pending_load).where(t.tables.c.table_id == table_id))
        return found[0][0] if found else None

    def settle_pending(self, table_id: str, load_id: str) -> None:
        """Note that the outcome of a load is known, unless another one is pending by now."""
        mine = (t.tables.c.table_id == table_id) & (t.tables.c.pending_load == load_id)
        self.write(sa.update(t.tables).where(mine).values(pending_load=None))

    def record_pending(self, table_id: str, load_id: str) -> None:
        """Note a load that is about to commit: until its outcome is here, the mirror knows less than the warehouse."""
        values = {"table_id": table_id, "pending_load": load_id}
        if not self.read(sa.select(t.tables.c.table_id).where(t.tables.c.table_id == table_id)):
            values |= {"quarantined_open": 0, "schema_version": 0}  # type: ignore[dict-item]
        self.write(self.upserting(t.tables, values))

    def _copy(self, table_id: str, entry: LedgerEntry | None, state: WarehouseState) -> list[sa.Executable]:
        version = state.newest(table_id)
        schema = (version.version, version.schema) if version else None
        days = day_rows(table_id, state.days.get(table_id, {}))
        entries = [item for item in state.entries if f"{item.source}.{item.table}" == table_id]
        return [
            self.upserting(t.tables, table_row(table_id, entry, state.watermarks.get(table_id), schema)),
            *[self.upserting(t.schema_versions, version_row(table_id, item)) for item in state.versions.get(table_id, ())],
            sa.delete(t.days).where(t.days.c.table_id == table_id),
            *([sa.insert(t.days).values(days)] if days else []),
            *[self.upserting(t.ledger, entry_row(item)) for item in entries],
        ]

    def record_commit(self, entry: LedgerEntry, watermark: Watermark, days: Sequence[DayDigest], schema: TableSchema) -> None:
        """Copy a load that has just committed."""
        table_id = f"{entry.source}.{entry.table}"
        new_days = {(day.day.isoformat() if day.day else ""): (day.rows, day.digest) for day in days}
        self.write(
            self.upserting(t.tables, table_row(table_id, entry, watermark, (entry.schema_version, schema))),
            *[self.upserting(t.days, row) for row in day_rows(table_id, new_days)],
            self.upserting(t.ledger, entry_row(entry)),
        )

    def upserting(self, table: sa.Table, values: Mapping[str, Any]) -> sa.Executable:
        """Return the statement that inserts a row or, where its key is there, changes it."""
        keys = [column.name for column in table.primary_key]
        others = {name: value for name, value in values.items() if name not in keys}
        make = postgresql.insert if self.engine.dialect.name == "postgresql" else sqlite.insert
        inserted = make(table).values(**values)
        return inserted.on_conflict_do_update(index_elements=keys, set_=others) if others else inserted.on_conflict_do_nothing()

    # -- what happened without a commit

    def record_checked(self, table_id: str, observed_at: datetime) -> None:
        """Note that the source was asked and nothing was new: the data are as of that instant."""
        self.write(
            sa.update(t.tables)
            .where(t.tables.c.table_id == table_id)
            .values(checked_at=iso(observed_at), data_as_of=iso(observed_at), **_NOT_HELD)
        )

    def record_seen(self, table_id: str, first: date, end: date) -> None:
        """Note which days the source has that are over (half-open), before any of them is loaded."""
        values = {"table_id": table_id, "seen_first": first.isoformat(), "seen_end": end.isoformat()}
        if not self.read(sa.select(t.tables.c.table_id).where(t.tables.c.table_id == table_id)):
            values |= {"quarantined_open": 0, "schema_version": 0}  # type: ignore[dict-item]
        self.write(self.upserting(t.tables, values))

    def record_parity(self, table_id: str, result: Mapping[str, Any]) -> None:
        """Copy what a comparison of a table with its source came to; see ``Warehouse.record_parity`` for the days that differ."""
        differing = result["differing_days"] if result["outcome"] != "equal" else ()
        mine = (t.days.c.table_id == table_id) & t.days.c.day.in_(differing)
        self.write(
            self.upserting(t.parity, {"table_id": table_id, "result": dict(result)}), sa.update(t.days).where(mine).values(digest="")
        )

    def record_held(self, table_id: str, reason: str, load_id: str | None, morning: date) -> None:
        """Note that the data of a morning did not get in, and why; the committed state stands."""
        known = self.read(
            sa.select(t.tables.c.held_since, t.tables.c.held_mornings, t.tables.c.held_morning).where(t.tables.c.table_id == table_id)
        )
        since, mornings, last = known[0] if known and known[0].held_since else (now(), 0, None)
        held = {"held_reason": reason, "held_at": now(), "held_load_id": load_id, "held_since": since}
        held |= {"held_mornings": mornings + (last != morning.isoformat()), "held_morning": morning.isoformat()}
        if known:
            self.write(sa.update(t.tables).where(t.tables.c.table_id == table_id).values(**held))
        else:
            self.write(self.upserting(t.tables, {"table_id": table_id, "quarantined_open": 0, "schema_version": 0, **held}))

    def record_released(self, table_id: str, load_id: str, next_held: tuple[str, str] | None = None) -> None:
        """Note that a person let a held load in; if it held the table, that is held by the next one (load, reason) or by none."""
        held = {"held_load_id": next_held[0], "held_reason": next_held[1]} if next_held else _NOT_HELD
        self.write(sa.update(t.tables).where(t.tables.c.table_id == table_id, t.tables.c.held_load_id == load_id).values(**held))

    @contextmanager
    def attempt(self, table_id: str, run_id: str | None, *, is_backfill: bool = False) -> Iterator[Attempt]:
        """Note a try from its start to its end; an exception is noted and raised on."""
        attempt_id, at = str(ULID()), now()
        self.write(
            sa.insert(t.attempts).values(
                attempt_id=attempt_id,
                table_id=table_id,
                run_id=run_id,
                started_at=at,
                heartbeat_at=at,
                phase="plan",
                rows_read=0,
                process=this_process(),
                is_backfill=is_backfill,
            ),
        )
        attempt = Attempt(self, attempt_id)
        try:
            yield attempt
        except BaseException as error:
            attempt.finish("failed", f"{type(error).__name__}: {error}")
            raise

    # -- questions

    def status(self, table_id: str) -> TableStatus:
        """Return what is known of a table; an empty status if nothing is."""
        rows = self.read(sa.select(t.tables).where(t.tables.c.table_id == table_id))
        return read_status(rows[0]) if rows else TableStatus(table_id)

    def statuses(self) -> list[TableStatus]:
        """Return what is known of every table."""
        return [read_status(row) for row in self.read(sa.select(t.tables).order_by(t.tables.c.table_id))]

    def schema(self, table_id: str) -> TableSchema | None:
        """Return the last committed schema."""
        rows = self.read(sa.select(t.tables.c.schema).where(t.tables.c.table_id == table_id))
        return codec.SCHEMA.validate_python(rows[0][0]) if rows and rows[0][0] else None

    def schema_history(self, table_id: str) -> Sequence[SchemaVersion]:
        """Return the committed schema versions of a table, oldest first."""
        columns = (t.schema_versions.c.version, t.schema_versions.c.schema, t.schema_versions.c.changes, t.schema_versions.c.recorded_at)
        rows = self.read(sa.select(*columns).where(t.schema_versions.c.table_id == table_id).order_by(t.schema_versions.c.version))
        return [
            SchemaVersion(version, codec.SCHEMA.validate_python(schema), tuple(changes), datetime.fromisoformat(recorded_at))
            for version, schema, changes, recorded_at in rows
        ]

    def approvals(self, table_id: str) -> frozenset[str]:
        """Return the ids of the changes of a table's schema that people allowed."""
        rows = self.read(sa.select(t.approvals.c.approval).where(t.approvals.c.table_id == table_id))
        return frozenset(approval for (approval,) in rows)

    def days(self, table_id: str) -> dict[date | None, DayDigest]:
        """Return the committed days of a partitioned table."""
        rows = self.read(sa.select(t.days.c.day, t.days.c.rows, t.days.c.digest).where(t.days.c.table_id == table_id))
        found = [DayDigest(date.fromisoformat(day) if day else None, count, digest) for day, count, digest in rows]
        return {digest.day: digest for digest in found}

    def parity(self, table_id: str) -> Mapping[str, Any] | None:
        """Return the numbers of the table's last comparison with its source (``ParityResult.numbers``); None if there was none."""
        rows = self.read(sa.select(t.parity.c.result).where(t.parity.c.table_id == table_id))
        return dict(rows[0].result) if rows else None

    def last_entries(self, table_id: str, limit: int = 1) -> list[Mapping[str, Any]]:
        """Return the newest ledger entries of a table as plain data, newest first."""
        token = sa.func.coalesce(t.ledger.c.entry["token"].as_integer(), 0)  # entries of an older release have none
        query = sa.select(t.ledger.c.entry).where(t.ledger.c.table_id == table_id)
        query = query.order_by(token.desc(), t.ledger.c.committed_at.desc()).limit(limit)
        return [row[0] for row in self.read(query)]

    def is_cleaned(self) -> bool:
        """Return whether nothing was committed since what is old was deleted from the warehouse."""
        cleaned = sa.select(sa.func.coalesce(sa.func.max(t.identity.c.cleaned_at), "")).scalar_subquery()
        return not self.read(sa.select(t.ledger.c.load_id).where(t.ledger.c.committed_at > cleaned).limit(1))

    def record_cleaned(self) -> None:
        """Note that what is old was deleted from the warehouse now."""
        self.write(sa.update(t.identity).values(cleaned_at=now()))

    def entries_since(self, table_id: str, since: datetime) -> list[Mapping[str, Any]]:
        """Return the ledger entries of a table that were committed after an instant, as plain data."""
        mine = (t.ledger.c.table_id == table_id) & (t.ledger.c.committed_at > iso(since))
        return [row[0] for row in self.read(sa.select(t.ledger.c.entry).where(mine))]

    def days_committed_since(self, table_id: str, since: str) -> set[date]:
        """Return the days of loads that were committed after an instant (ISO, UTC)."""
        entries = self.entries_since(table_id, datetime.fromisoformat(since))
        return {date.fromisoformat(day) for entry in entries for day in entry["window"].get("days", ())}


def this_process() -> str:
    """Return how this process is named in the mirror: host/process number."""
    return f"{socket.gethostname()}/{os.getpid()}"


def now() -> str:
    """Return the time as the mirror writes it."""
    return iso(datetime.now(UTC))
