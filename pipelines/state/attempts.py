"""Attempts that have not ended: which table, in which phase, how many rows in, and whether their process still works on them.

Asks the mirror, and this machine's process table, alone. Attempts are written by ``mirror``.
"""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from pipelines.state.builds import read_builds
from pipelines.state.mirror import Mirror
from pipelines.state.tables import attempts

SILENT_AFTER = timedelta(minutes=15)  # a process of another machine that was not heard of for so long is taken for dead
LAST_LOADS = 20  # of which the pace is the mean
CLOCK_SLACK = timedelta(seconds=2)

State = Literal["running", "died"]
UNFINISHED_BUILD = "its last build did not come to an end"  # what a model says from before its build begins until it has ended


@dataclass(frozen=True)
class OpenAttempt:
    """A table's newest try, which did not come to its end (yet)."""

    table_id: str
    run_id: str | None
    state: State
    phase: str
    rows_read: int
    started_at: datetime
    heartbeat_at: datetime
    process: str  # host/process number
    is_backfill: bool = False

    def __str__(self) -> str:
        since = f"{self.started_at:%Y-%m-%d %H:%M:%S} UTC"
        if self.state == "running":
            return f"{self.table_id}: {self.phase}, {self.rows_read:,} rows, since {since}, by process {self.process}"
        last = f"{self.heartbeat_at:%Y-%m-%d %H:%M:%S} UTC"
        return f"{self.table_id}: died in {self.phase} at {self.rows_read:,} rows, last heard of {last}, process {self.process}"


def open_attempts(mirror: Mirror) -> list[OpenAttempt]:
    """Return the newest attempt of each table where that has not ended, by table; not those of back-fills, which tell of themselves."""
    newest = sa.select(sa.func.max(attempts.c.attempt_id)).where(~attempts.c.is_backfill).group_by(attempts.c.table_id)
    query = sa.select(attempts).where(attempts.c.attempt_id.in_(newest), attempts.c.finished_at.is_(None))
    return [_read(row) for row in mirror.read(query.order_by(attempts.c.table_id))]


def is_synced(mirror: Mirror, table_id: str) -> bool:
    """Whether a process works on a table now that is no back-fill."""
    chosen = (attempts.c.table_id == table_id) & attempts.c.finished_at.is_(None) & ~attempts.c.is_backfill
    query = sa.select(attempts).where(chosen).order_by(attempts.c.attempt_id.desc())
    return any(_read(row).state == "running" for row in mirror.read(query))


def measure_pace(mirror: Mirror, table_id: str) -> float | None:
    """Return how many rows a second the table's last loads came to, from the first question to the commit; None if none read a row."""
    columns = (attempts.c.rows_read, attempts.c.started_at, attempts.c.finished_at)
    ended = attempts.c.finished_at.is_not(None) & (attempts.c.outcome == "committed") & (attempts.c.rows_read > 0) & ~attempts.c.is_backfill
    query = sa.select(*columns).where(attempts.c.table_id == table_id, ended).order_by(attempts.c.attempt_id.desc()).limit(LAST_LOADS)
    rows = mirror.read(query)
    seconds = sum((datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds() for _, start, end in rows)
    return sum(read for read, _, _ in rows) / seconds if rows and seconds > 0 else None


def _read(row: sa.Row[Any]) -> OpenAttempt:
    started_at, heartbeat_at = datetime.fromisoformat(row.started_at), datetime.fromisoformat(row.heartbeat_at)
    state: State = "running" if is_at_work(row.process, started_at, heartbeat_at) else "died"
    return OpenAttempt(row.table_id, row.run_id, state, row.phase, row.rows_read, started_at, heartbeat_at, row.process, row.is_backfill)


def is_at_work(process: str, started_at: datetime, heartbeat_at: datetime) -> bool:
    """Whether the process of an attempt still is: one of its number that was born later is another one."""
    host, _, number = process.rpartition("/")
    if host != socket.gethostname():
        return datetime.now(UTC) - heartbeat_at < SILENT_AFTER
    try:
        born_at = _born_at(int(number))
    except ProcessLookupError:
        return False
    if born_at is None:  # then the number may be another process's by now
        return datetime.now(UTC) - heartbeat_at < SILENT_AFTER
    return born_at <= started_at + CLOCK_SLACK


def _born_at(process_id: int) -> datetime | None:
    """Return when a process of this machine began; None where the system does not say. Raises ``ProcessLookupError``."""
    processes = Path("/proc")
    if not (processes / "stat").exists():
        with suppress(PermissionError):
            os.kill(process_id, 0)
        return None
    try:
        told = (processes / str(process_id) / "stat").read_text()
    except OSError as error:
        raise ProcessLookupError(process_id) from error
    fields = told.rpartition(")")[2].split()  # the name before it may hold anything
    if fields[0] in "ZX":  # it ended, and its parent has not noticed
        raise ProcessLookupError(process_id)
    ago = float((processes / "uptime").read_text().split()[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    return datetime.now(UTC) - timedelta(seconds=ago)


def tell_resume_points(mirror: Mirror, run_id: str) -> str:
    """Return from where the next run goes on with what a dead run left unfinished."""
    left = [attempt for attempt in open_attempts(mirror) if attempt.run_id == run_id]
    points = [f"{item.table_id} (it was in {item.phase}, {item.rows_read:,} rows were read)" for item in left]
    unbuilt = sorted(model.rpartition(".")[2] for model, build in read_builds(mirror).items() if build["reason"] == UNFINISHED_BUILD)
    told = f"The next run goes on with {', '.join(points)}." if points else "No table was being loaded."
    return f"{told} Models that were not built to their end: {', '.join(unbuilt)}." if unbuilt else told


def add_attempts(mirror: Mirror, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of `daybreak status` with each table's open attempt, or None, under ``attempt``."""
    found = {attempt.table_id: attempt for attempt in open_attempts(mirror)}
    return [{**row, "attempt": asdict(found[row["table"]]) if row["table"] in found else None} for row in rows]


def tell_attempts(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each row of `daybreak status` that has an open attempt."""
    return [str(OpenAttempt(**row["attempt"])) for row in rows if row["attempt"]]
