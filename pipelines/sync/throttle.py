"""How a back-fill yields to its source: by additive increase and multiplicative decrease of the share of time that it reads.

The rule is that of TCP's congestion avoidance (Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988): a little more after each
chunk that the source served as quickly as ever, half as much after one that it did not, or when many sessions are at work there.
A share of 0.25 means a pause of three seconds after a statement of one. A live sync is never throttled, and never waits for a back-fill.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

FIRST_SHARE, LEAST_SHARE, MOST_SHARE = 0.2, 0.02, 1.0
INCREASE, DECREASE = 0.05, 0.5
# A statement that takes this many times what the quickest took: the source is busy with somebody else's work.
SLOW_FACTOR = 2.0
LEAST_SECONDS = 0.02  # of a statement; below that, the network's own trembling would be taken for load
LONGEST_PAUSE = 30.0
POLL_SECONDS = 0.5  # between two looks whether a live sync is over
CHUNK_ROWS = 122_880  # a statement that hurts is over soon, and says so; less than DuckDB's row group would bloat its file


@dataclass(frozen=True)
class Activity:
    """What else a source does at an instant: ``sessions`` at work, without our own; ``seconds`` that it took to say so."""

    sessions: int
    seconds: float


class Throttle(Protocol):
    """Who decides when a statement may go to a source, and when a load may be committed."""

    max_rows: int | None  # of a chunk; None for no limit beside the engine's

    def reading(self) -> "AbstractContextManager[Served]":
        """Wait for the turn, then let the block read one chunk; what it reports decides the next turn."""

    def before_commit(self, table_id: str) -> None:
        """Wait until a load of the table may be committed."""


class Served:
    """What a source served in one turn: ``rows``, told by whoever read."""

    rows = 0


class Unthrottled:
    """The throttle of a live sync: none."""

    max_rows: int | None = None

    @contextmanager
    def reading(self) -> Iterator[Served]:
        """Let the block read."""
        yield Served()

    def before_commit(self, table_id: str) -> None:
        """Go on."""


@dataclass(frozen=True)
class Share:
    """The share of time that a back-fill reads, and the quickest that the source ever was."""

    value: float = FIRST_SHARE
    row_seconds: float | None = None  # of one row
    answer_seconds: float | None = None  # of the question how busy it is

    def next(self, seconds: float, rows: int, activity: Activity, max_sessions: int) -> "Share":
        """Return the share after a chunk of ``rows`` took ``seconds`` and the source told its ``activity`` in between. Pure."""
        pace = max(seconds, LEAST_SECONDS) / max(rows, 1)
        answer = max(activity.seconds, LEAST_SECONDS)
        is_full = rows >= CHUNK_ROWS // 2  # the last chunk of a day is small, and costs a statement all the same
        is_slow = (is_full and self.row_seconds is not None and pace > SLOW_FACTOR * self.row_seconds) or (
            self.answer_seconds is not None and answer > SLOW_FACTOR * self.answer_seconds
        )
        is_busy = activity.sessions > max_sessions
        value = self.value * DECREASE if is_slow or is_busy else self.value + INCREASE
        return Share(
            value=min(max(value, LEAST_SHARE), MOST_SHARE),
            row_seconds=min(pace, self.row_seconds or pace) if is_full else self.row_seconds,
            answer_seconds=min(answer, self.answer_seconds or answer),
        )

    def pause(self, seconds: float) -> float:
        """Return how long to leave the source alone after a statement of ``seconds``."""
        return min(seconds * (1 / self.value - 1), LONGEST_PAUSE)


@dataclass(frozen=True)
class Manners:
    """Whom a back-fill yields to, and how it asks."""

    activity: Callable[[], Activity]  # of the source
    is_synced: Callable[[str], bool]  # whether a live sync of the table goes on
    max_sessions: int
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


class Yielding:
    """The throttle of a back-fill. For one thread."""

    max_rows: int | None = CHUNK_ROWS

    def __init__(self, manners: Manners) -> None:
        """Begin gently: nothing is known of the source yet."""
        self._manners, self.share, self._owed = manners, Share(), 0.0

    @contextmanager
    def reading(self) -> Iterator[Served]:
        """Leave the source alone for as long as its last answer asks for, then let the block read."""
        if self._owed:
            self._manners.sleep(self._owed)
        served, began = Served(), self._manners.clock()
        yield served
        seconds = self._manners.clock() - began
        self.share = self.share.next(seconds, served.rows, self._manners.activity(), self._manners.max_sessions)
        self._owed = self.share.pause(seconds)

    def before_commit(self, table_id: str) -> None:
        """Wait for a live sync of the table: it is planned on what is committed, and would have to begin again."""
        while self._manners.is_synced(table_id):
            self._manners.sleep(POLL_SECONDS)
