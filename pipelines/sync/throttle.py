"""How a back-fill yields to its source: by additive increase and multiplicative decrease of the share of time that it reads.

The rule is that of TCP's congestion avoidance (Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988): a little more after each
chunk that the source served as quickly as ever, half as much after one that it did not, or when many sessions are at work there.
A share of 0.25 means that the source is left alone for three seconds after a statement of one. A live sync is never throttled.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from pipelines.errors import LoadConflict

INCREASE, DECREASE = 0.05, 0.5
FIRST_SHARE, LEAST_SHARE, MOST_SHARE = 0.2, 0.02, 1.0
LEAST_OF_FILL = 0.25  # of columns that a live sync fills: the morning must not wait for them for hours
# A statement that takes this many times what the quickest took: the source is busy with somebody else's work.
SLOW_FACTOR = 2.0
AGING = 1.02  # a chunk: the quickest is forgotten by and by, as it may have come from a cache
LEAST_SECONDS = 0.02  # of a statement; below that, the network's own trembling would be taken for load
LONGEST_PAUSE = 30.0
POLL_SECONDS = 0.5  # between two looks whether a live sync is over
LONGEST_WAIT = 4 * 3600.0  # for a live sync; one that takes longer is stuck, and a person is told
CHUNK_ROWS = 122_880  # a statement that hurts is over soon, and says so; less than DuckDB's row group would bloat its file


class Stopped(Exception):  # a signal from who asked for a back-fill to the thread that makes it
    """It is to end, as soon as that loses nothing."""


@dataclass(frozen=True)
class Activity:
    """What else a source does at an instant: ``sessions`` at work, without our own; ``seconds`` that it took to say so."""

    sessions: int
    seconds: float


class Throttle(Protocol):
    """Who decides when a statement may go to a source, and when a load may be committed."""

    max_rows: int | None  # of a chunk; None for no limit beside the engine's

    @property
    def used_share(self) -> float | None:
        """The share of time that the source is read; None if nobody counts."""

    def reading(self) -> "AbstractContextManager[Served]":
        """Wait for the turn, then let the block read one chunk; what it reports decides the next turn."""

    def before_commit(self, table_id: str) -> None:
        """Wait until a load of the table may be committed. Raises ``LoadConflict`` if that takes too long."""


class Served:
    """What a source served in one turn, told by whoever read: ``rows``, and whether it was a whole chunk or the rest of a part."""

    rows = 0
    is_whole = False


class Unthrottled:
    """The throttle of a live sync: none."""

    max_rows: int | None = None
    used_share: float | None = None

    @contextmanager
    def reading(self) -> Iterator[Served]:
        """Let the block read."""
        yield Served()

    def before_commit(self, table_id: str) -> None:
        """Go on."""


@dataclass(frozen=True)
class Share:
    """The share of time that a back-fill reads, and the quickest that the source was lately."""

    value: float = FIRST_SHARE
    least: float = LEAST_SHARE
    row_seconds: float | None = None  # of one row
    answer_seconds: float | None = None  # of the question how busy it is

    def next(self, seconds: float, served: Served, activity: Activity, max_sessions: int) -> "Share":
        """Return the share after a chunk took ``seconds`` and the source told its ``activity`` in between. Pure.

        The rest of a part is small, and costs a statement all the same: its seconds a row say nothing.
        """
        pace = max(seconds, LEAST_SECONDS) / served.rows if served.is_whole and served.rows else None
        answer = max(activity.seconds, LEAST_SECONDS)
        is_slow = _is_slow(pace, self.row_seconds) or _is_slow(answer, self.answer_seconds)
        value = self.value * DECREASE if is_slow or activity.sessions > max_sessions else self.value + INCREASE
        return replace(
            self,
            value=min(max(value, self.least), MOST_SHARE),
            row_seconds=_quickest(pace, self.row_seconds),
            answer_seconds=_quickest(answer, self.answer_seconds),
        )

    def pause(self, seconds: float) -> float:
        """Return how long to leave the source alone after a statement of ``seconds``."""
        return min(seconds * (1 / self.value - 1), LONGEST_PAUSE)


def _is_slow(now: float | None, quickest: float | None) -> bool:
    return now is not None and quickest is not None and now > SLOW_FACTOR * quickest


def _quickest(now: float | None, before: float | None) -> float | None:
    aged = None if before is None else before * AGING
    return min((value for value in (now, aged) if value is not None), default=None)


@dataclass(frozen=True)
class Manners:
    """Whom a back-fill yields to, and how it asks. ``stop`` is set by who wants it to end."""

    activity: Callable[[], Activity]  # of the source
    is_synced: Callable[[str], bool]  # whether a live sync of the table goes on
    max_sessions: int
    stop: threading.Event = field(default_factory=threading.Event)
    clock: Callable[[], float] = time.monotonic


class Yielding:
    """The throttle of a back-fill. For one thread. Raises ``Stopped`` where it would wait, or begin to read, and is to stop."""

    max_rows: int | None = CHUNK_ROWS

    def __init__(self, manners: Manners, least: float = LEAST_SHARE) -> None:
        """Begin gently: nothing is known of the source yet."""
        self._manners, self.share = manners, Share(max(FIRST_SHARE, least), least)
        self._free_at = manners.clock()  # when the source may be read again

    @property
    def used_share(self) -> float | None:
        """The share of time that the source is read."""
        return self.share.value

    @contextmanager
    def reading(self) -> Iterator[Served]:
        """Leave the source alone for as long as its last answer asks for, less what passed since, then let the block read."""
        manners = self._manners
        self._wait(self._free_at - manners.clock())
        served, began = Served(), manners.clock()
        yield served
        ended = manners.clock()
        self.share = self.share.next(ended - began, served, manners.activity(), manners.max_sessions)
        self._free_at = ended + self.share.pause(ended - began)

    def before_commit(self, table_id: str) -> None:
        """Wait for a live sync of the table: it is planned on what is committed, and would have to begin again."""
        deadline = self._manners.clock() + LONGEST_WAIT
        while self._manners.is_synced(table_id):
            if self._manners.clock() > deadline:
                raise LoadConflict(
                    f"{table_id} has been synced for {LONGEST_WAIT / 3600:.0f} hours, and a back-fill waits behind that.",
                    safe="Nothing of this load was committed.",
                    remedy="`daybreak status` names the process; end it if it does nothing any more, and ask for the back-fill again.",
                    table=table_id,
                )
            self._wait(POLL_SECONDS)

    def _wait(self, seconds: float) -> None:
        if self._manners.stop.wait(max(seconds, 0)):
            raise Stopped
