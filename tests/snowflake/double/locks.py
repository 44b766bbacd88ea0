"""Locks on tables, held until the end of a transaction, as Snowflake's.

INSERT and COPY stand beside each other and beside one UPDATE, DELETE or MERGE; two of those wait for each other; DDL waits for all.
"""

import threading
import time
from dataclasses import dataclass, field
from enum import Enum

from tests.snowflake.double.errors import SqlError
from tests.snowflake.double.names import Table, decode


class Mode(Enum):
    ADD = "add"  # INSERT, COPY
    CHANGE = "change"  # UPDATE, DELETE, MERGE
    SHAPE = "shape"  # DDL


_TOGETHER = {(Mode.ADD, Mode.ADD), (Mode.ADD, Mode.CHANGE), (Mode.CHANGE, Mode.ADD)}


@dataclass
class Locks:
    """Which session holds which tables, and which wait."""

    _held: dict[Table, dict[int, set[Mode]]] = field(default_factory=dict)
    _waits: dict[int, set[int]] = field(default_factory=dict)
    _cancelled: set[int] = field(default_factory=set)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def acquire(self, session: int, table: Table, mode: Mode, timeout_seconds: float) -> None:
        """Hold ``table``, or raise Snowflake's error 000625 after ``timeout_seconds`` or in a deadlock."""
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            try:
                while others := self._in_the_way(session, table, mode):
                    self._waits[session] = others
                    if session in self._cancelled:
                        raise SqlError(604, "57014", "SQL execution canceled")
                    if self._waits_for_itself(session) or time.monotonic() >= deadline:
                        raise _locked(table)
                    self._changed.wait(min(deadline - time.monotonic(), 0.2))
            finally:
                self._waits.pop(session, None)
                self._cancelled.discard(session)
            self._held.setdefault(table, {}).setdefault(session, set()).add(mode)

    def release(self, session: int) -> None:
        with self._changed:
            for holders in self._held.values():
                holders.pop(session, None)
            self._changed.notify_all()

    def is_in_the_way(self, session: int) -> bool:
        """Return whether another session waits for this one."""
        with self._changed:
            return any(session in others for others in self._waits.values())

    def cancel(self, session: int) -> None:
        """Make ``session`` stop waiting, if it does."""
        with self._changed:
            if session in self._waits:
                self._cancelled.add(session)
                self._changed.notify_all()

    def _in_the_way(self, session: int, table: Table, mode: Mode) -> set[int]:
        holders = self._held.get(table, {})
        return {other for other, modes in holders.items() if other != session and any((mode, m) not in _TOGETHER for m in modes)}

    def _waits_for_itself(self, session: int) -> bool:
        seen: set[int] = set()
        ahead = set(self._waits[session])
        while ahead:
            other = ahead.pop()
            if other == session:
                return True
            if other not in seen:
                seen.add(other)
                ahead |= self._waits.get(other, set())
        return False


def _locked(table: Table) -> SqlError:
    name = ".".join(map(decode, table))
    return SqlError(
        625,
        "57014",
        f"Statement has locked table '{name}' in a transaction that has not yet ended. Your statement was aborted because the lock timeout"
        " was reached or because of a deadlock.",
    )
