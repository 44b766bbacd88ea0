"""An advisory lock for the warehouse file: one at a time among processes and threads, and mostly first come, first served.

DuckDB lets one process open a file for writing and then nobody else may even read it. So every entry point (a commit, dbt, the
read copy) queues here around its short write. The turn is the kernel's lock on the file itself. The queue before it is only for
fairness: a waiter is a ticket file, numbered by arrival and locked by its owner, so a ticket whose owner died is recognised by
its free lock, and the oldest living ticket tries for the turn. A ticket that becomes visible late may sort before the holder's;
then it waits for the lock, as everybody does.
"""

import fcntl
import itertools
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import WarehouseUnavailable

POLL_SECONDS = 0.01
_tickets = itertools.count()
_ours: set[str] = set()  # names of this process's tickets; a process number alone may be that of a dead one (containers)
_taken = threading.local()  # this thread's turn, so that a holder may ask again


@contextmanager
def hold_lock(file: Path, purpose: str, wait_seconds: float) -> Iterator[int | None]:
    """Wait for the turn and keep it for the block; a thread that has it already goes straight on, and is given None.

    Yields the descriptor that the turn stands on: a child process that inherits it keeps the turn if this one is killed.

    Raises ``WarehouseUnavailable`` naming the holder after ``wait_seconds``.
    """
    held: set[Path] = getattr(_taken, "files", set())
    if file in held:
        yield None
        return
    queue = file.with_name(f"{file.name}.queue")
    queue.mkdir(parents=True, exist_ok=True)
    ticket = queue / f"{time.time_ns():020d}-{os.getpid()}-{next(_tickets)}"
    waiter = _describe_us(purpose)
    place, turn = _draw(ticket, waiter), os.open(file, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        _await_turn(ticket, file, turn, wait_seconds)
        os.ftruncate(turn, 0)
        os.pwrite(turn, waiter, 0)
        _taken.files = held | {file}
        try:
            yield turn
        finally:
            _taken.files = held
            fcntl.flock(turn, fcntl.LOCK_UN)  # also for a child that has the descriptor still
    finally:
        ticket.unlink(missing_ok=True)
        _ours.discard(ticket.name)
        os.close(place)
        os.close(turn)


def _describe_us(purpose: str) -> bytes:
    holder = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": Path(sys.argv[0]).name,
        "purpose": purpose,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    return json.dumps(holder).encode()


def _draw(ticket: Path, waiter: bytes) -> int:
    """Make the ticket under a name that does not count, lock it, then let it count: nobody sees it unlocked."""
    hidden = ticket.with_name(f".{ticket.name}")
    descriptor = os.open(hidden, os.O_CREAT | os.O_RDWR | os.O_EXCL, 0o644)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, waiter)
    _ours.add(ticket.name)
    hidden.rename(ticket)
    return descriptor


def _await_turn(ticket: Path, file: Path, turn: int, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while (first := _first(ticket.parent)) != ticket or not _try_lock(turn):
        if time.monotonic() > deadline:
            raise WarehouseUnavailable(
                f"the warehouse has been in use for {wait_seconds:.0f} seconds by {_describe(file if first == ticket else first)}.",
                safe="Nothing was written.",
                remedy="Wait for it to end, or end it, and run again; DAYBREAK_LOCK_WAIT_SECONDS sets the patience.",
            )
        time.sleep(POLL_SECONDS)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _first(queue: Path) -> Path | None:
    """Return the oldest ticket whose owner lives, removing the dead ones before it."""
    for ticket in sorted(path for path in queue.iterdir() if not path.name.startswith(".")):
        if ticket.name in _ours:
            return ticket
        try:
            with ticket.open("rb") as content:
                fcntl.flock(content, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return ticket
        except FileNotFoundError:
            continue
        ticket.unlink(missing_ok=True)
    return None


def _describe(ticket: Path | None) -> str:
    try:
        holder = json.loads(ticket.read_text()) if ticket else {}
    except (OSError, ValueError):
        holder = {}
    if not holder:
        return "somebody unknown"
    return f"{holder['command']} (pid {holder['pid']} on {holder['host']}, {holder['purpose']}, since {holder['since']})"
