"""Back-fills as the mirror keeps them: which days, how far, by whom. So one that died is gone on with, and people see an end.

The truth of a day is the ledger's; this only says which windows were looked at, also those that had nothing new and left no load.
A mirror that was lost takes the position with it, and the same request begins with its first day again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from pydantic import TypeAdapter
from ulid import ULID

from pipelines.errors import LoadConflict
from pipelines.state.attempts import is_at_work
from pipelines.state.mirror import Mirror, this_process
from pipelines.state.tables import backfills
from pipelines.sync.model import DayRange

State = Literal["running", "paused", "failed", "held", "done", "replaced"]
OVER: tuple[State, ...] = ("done", "replaced")


@dataclass(frozen=True)
class Backfill:
    """Days of a table that were asked for. ``next_day``: the first that was not looked at; ``began_day``: where this attempt began."""

    backfill_id: str
    table_id: str
    days: DayRange
    next_day: date
    began_day: date
    state: State
    reason: str
    run_id: str | None
    process: str
    requested_at: datetime
    began_at: datetime
    heartbeat_at: datetime
    rows: int = 0
    share: float | None = None  # of the time that the source is read
    note: str = ""

    @property
    def done_days(self) -> int:
        """How many days were looked at."""
        return (self.next_day - self.days.start).days

    @property
    def all_days(self) -> int:
        """How many days were asked for."""
        return (self.days.end - self.days.start).days

    @property
    def left(self) -> DayRange:
        """The days that were not looked at."""
        return DayRange(self.next_day, self.days.end)

    @property
    def is_at_work(self) -> bool:
        """Whether a process works on it now."""
        return self.state == "running" and is_at_work(self.process, self.began_at, self.heartbeat_at)

    def remaining(self, now: datetime) -> timedelta | None:
        """Return how long the rest takes at the pace of this attempt; None before its first window."""
        done = (self.next_day - self.began_day).days
        return (now - self.began_at) / done * (self.days.end - self.next_day).days if done else None

    def __str__(self) -> str:
        last = self.days.end - timedelta(days=1)
        told = (
            f"{self.table_id}: back-fill of {self.days.start} to {last}, {self.done_days:,} of {self.all_days:,} days, {self.rows:,} rows"
        )
        state = "died" if self.state == "running" and not self.is_at_work else self.state
        left = self.remaining(datetime.now(UTC)) if self.is_at_work else None
        eta = f", {_tell_duration(left)} left" if left is not None else ""
        why = f" ({self.reason})" if self.reason else ""
        share = f", reads {self.share:.0%} of the time" if self.share is not None and self.is_at_work else ""
        return f"{told}, {state}{why}{eta}{share}{f'; {self.note}' if self.note else ''}"


_STORED = TypeAdapter(Backfill)


def new_backfill(table_id: str, days: DayRange, reason: str, run_id: str | None) -> Backfill:
    """Return a back-fill that nobody began."""
    now = datetime.now(UTC)
    return Backfill(str(ULID()), table_id, days, days.start, days.start, "running", reason, run_id, this_process(), now, now, now)


def begin_backfill(mirror: Mirror, wanted: Backfill, *, is_anew: bool, start: date = date.min) -> Backfill:
    """Return the back-fill of just the wanted days that did not come to its end, or else ``wanted``, as begun by this process.

    ``is_anew``: an unfinished one is not gone on with. Days before ``start``, the table's, are wanted by nobody. Raises ``LoadConflict``
    if another process is at some of the days.
    """
    table_id, days = wanted.table_id, wanted.days
    open_ones = unfinished_backfills(mirror, table_id)
    for one in open_ones:
        if one.is_at_work and _overlap(one, days):
            raise _busy(one)
    same = next((one for one in open_ones if one.days == days and not is_anew), None)
    covered = [one for one in open_ones if one is not same and days.start <= max(one.next_day, start) and one.days.end <= days.end]
    for one in covered:  # its rest is a part of what is asked for now
        save_backfill(mirror, replace(one, state="replaced"))
    if same and not _take_over(mirror, same, wanted):
        raise _busy(wanted)
    backfill = replace(same, began_day=same.next_day, state="running", note="") if same else wanted
    begun = {name: getattr(wanted, name) for name in ("began_at", "heartbeat_at", "run_id", "process")}
    backfill = replace(backfill, **begun)
    save_backfill(mirror, backfill)
    others = [one for one in unfinished_backfills(mirror, table_id) if one.backfill_id < backfill.backfill_id and _overlap(one, days)]
    if not same and (older := next((one for one in others if one.is_at_work), None)):  # which began at the same moment
        save_backfill(mirror, replace(backfill, state="replaced"))
        raise _busy(older)
    return backfill


def _overlap(one: Backfill, days: DayRange) -> bool:
    return one.days.start < days.end and days.start < one.days.end


def _take_over(mirror: Mirror, dead: Backfill, wanted: Backfill) -> bool:
    """Make an unfinished back-fill ours; False if somebody else was faster."""
    is_as_seen = (backfills.c.backfill_id == dead.backfill_id) & (backfills.c.process == dead.process) & (backfills.c.state == dead.state)
    is_as_seen &= backfills.c.heartbeat_at == _STORED.dump_python(dead, mode="json")["heartbeat_at"]
    heartbeat_at = _STORED.dump_python(wanted, mode="json")["heartbeat_at"]
    taken = sa.update(backfills).where(is_as_seen).values(state="running", process=wanted.process, heartbeat_at=heartbeat_at)
    with mirror.engine.begin() as connection:
        return connection.execute(taken).rowcount == 1


def _busy(one: Backfill) -> LoadConflict:
    return LoadConflict(
        f"{one.table_id} is being back-filled: {one.days.start} to {one.days.end - timedelta(days=1)}, "
        f"since {one.began_at:%Y-%m-%d %H:%M:%S} UTC, by process {one.process}.",
        safe="Nothing was read.",
        remedy="Wait for it, or end that process: the next back-fill of these days goes on where it was.",
        table=one.table_id,
    )


def touch_backfill(mirror: Mirror, backfill_id: str) -> None:
    """Note that a back-fill is at work still."""
    now = TypeAdapter(datetime).dump_python(datetime.now(UTC), mode="json")
    mirror.write(sa.update(backfills).where(backfills.c.backfill_id == backfill_id).values(heartbeat_at=now))


def save_backfill(mirror: Mirror, backfill: Backfill) -> None:
    """Keep how far a back-fill is."""
    values = _STORED.dump_python(backfill, mode="json")
    days = values.pop("days")
    mirror.write(mirror.upserting(backfills, {**values, "first_day": days["start"], "end_day": days["end"]}))


def unfinished_backfills(mirror: Mirror, table_id: str | None = None) -> list[Backfill]:
    """Return the back-fills, of one table or of all, that did not come to their end, oldest first."""
    query = sa.select(backfills).where(backfills.c.state.not_in(OVER)).order_by(backfills.c.backfill_id)
    return _read(mirror, query if table_id is None else query.where(backfills.c.table_id == table_id))


def ended_backfills(mirror: Mirror, since: datetime) -> list[Backfill]:
    """Return the back-fills that came to their end since then, oldest first."""
    chosen = (backfills.c.state == "done") & (
        backfills.c.heartbeat_at >= TypeAdapter(datetime).dump_python(since.astimezone(UTC), mode="json")
    )
    return _read(mirror, sa.select(backfills).where(chosen).order_by(backfills.c.heartbeat_at))


def _read(mirror: Mirror, query: sa.Select[Any]) -> list[Backfill]:
    return [_backfill(dict(row._mapping)) for row in mirror.read(query)]


def _backfill(row: Mapping[str, Any]) -> Backfill:
    values = dict(row)
    return _STORED.validate_python({**values, "days": {"start": values.pop("first_day"), "end": values.pop("end_day")}})


def _tell_duration(span: timedelta) -> str:
    minutes = round(span.total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
