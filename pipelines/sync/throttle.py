"""How a back-fill yields to its source: by additive increase and multiplicative decrease of the share of time that it reads.

The rule is that of TCP's congestion avoidance (Jacobson, "Congestion Avoidance and Control", SIGCOMM 1988): a little more after each
chunk that the source served as quickly as ever, half as much after one that it did not, or when many sessions are at work there.
A share of 0.25 means that the source is left alone for three seconds after a statement of one. A live sync is never throttled.
"""

import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from pipelines.errors import DaybreakError, LoadConflict

INCREASE, DECREASE = 0.05, 0.5
# While an application is at work, a fiftieth of the time is read: so less than a twentieth of its statements can be slower for
# it, and their 95th percentile stands, whatever a statement of ours does to those beside it.
FIRST_SHARE, LEAST_SHARE, SHARE_AT_WORK, MOST_SHARE = 0.02, 0.005, 0.02, 1.0
AT_WORK = 0.2  # of the looks of the last seconds found others that had done something: more than a monitor that asks now and then
LOOK_SECONDS, LEAST_LOOK_SECONDS = 10.0, 2.0
LEAST_OF_FILL = 0.25  # of columns that a live sync fills: the morning must not wait for them for hours
# A chunk that takes this many times what the quickest took a row: the source is busy with somebody else's work.
SLOW_FACTOR = 2.0
# A piece of work that takes this many times what it takes while nothing of ours is read: others wait for us.
FELT_FACTOR = 2.0
SAMPLE_SECONDS = 0.05  # between two samples of that while a statement runs
AGING = 1.02  # a chunk: the quickest is forgotten by and by, as it may have come from a cache
LEAST_SECONDS = 0.02  # of a chunk; below that, the network's own trembling would be taken for load
LONGEST_PAUSE = 60.0
POLL_SECONDS = 0.5  # between two looks whether a live sync is over
LONGEST_WAIT = 4 * 3600.0  # for a live sync; one that takes longer is stuck, and a person is told
CHUNK_ROWS = 122_880  # a statement that hurts is over soon, and says so; less than DuckDB's row group would bloat its file


class Stopped(Exception):  # a signal from who asked for a back-fill to the thread that makes it
    """It is to end, as soon as that loses nothing."""


@dataclass(frozen=True)
class Activity:
    """What else a source does at an instant: ``sessions`` at work, but ours; ``has_others`` if any did something in the last second.

    ``seconds`` are what a small fixed piece of work took there, by its own clock: neither the network nor this process counts.
    """

    sessions: int
    seconds: float
    has_others: bool = False


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
class Felt:
    """What others feel of a statement of ours: ``before`` it, and ``during`` it the median of a few samples; None if it was over at once.

    ``is_at_work``: others do something at all.
    """

    before: Activity
    during: float | None = None
    is_at_work: bool = False


@dataclass(frozen=True)
class Share:
    """The share of time that a back-fill reads, and the quickest that the source was lately."""

    value: float = FIRST_SHARE
    least: float = LEAST_SHARE
    row_seconds: float | None = None  # of one row
    work_seconds: float | None = None  # of the small fixed piece of work

    def next(self, seconds: float, served: Served, felt: Felt, max_sessions: int) -> "Share":
        """Return the share after a chunk took ``seconds`` and others ``felt`` it. Pure.

        The rest of a part is small, and costs a statement all the same: its seconds a row say nothing.
        """
        pace = max(seconds, LEAST_SECONDS) / served.rows if served.is_whole and served.rows else None
        best = _quickest(felt.before.seconds, self.work_seconds)
        is_slow = _is_above(pace, self.row_seconds, SLOW_FACTOR) or _is_above(felt.during, best, FELT_FACTOR)
        is_busy = _is_above(felt.before.seconds, best, SLOW_FACTOR) or felt.before.sessions > max_sessions
        value = self.value * DECREASE if is_slow or is_busy else self.value + INCREASE
        most = max(SHARE_AT_WORK, self.least) if felt.is_at_work else MOST_SHARE
        return replace(self, value=min(max(value, self.least), most), row_seconds=_quickest(pace, self.row_seconds), work_seconds=best)

    def pause(self, seconds: float) -> float:
        """Return how long to leave the source alone after a statement of ``seconds``."""
        return min(seconds * (1 / self.value - 1), LONGEST_PAUSE)


def _is_above(now: float | None, quickest: float | None, factor: float) -> bool:
    return now is not None and quickest is not None and now > factor * quickest


def _quickest(now: float | None, before: float | None) -> float | None:
    aged = None if before is None else before * AGING
    return min((value for value in (now, aged) if value is not None), default=None)


@contextmanager
def _sampling(activity: Callable[[], Activity]) -> Iterator[list[float]]:
    """Measure during the block, in a thread, what a small piece of work takes at the source; the block's own error is what counts."""
    samples: list[float] = []
    over = threading.Event()

    def sample() -> None:
        with suppress(DaybreakError):
            while not over.wait(SAMPLE_SECONDS):
                samples.append(activity().seconds)

    thread = threading.Thread(target=sample, daemon=True, name="throttle")
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


@dataclass(frozen=True)
class Manners:
    """Whom a back-fill yields to, and how it asks. ``stop`` is set by who wants it to end."""

    activity: Callable[[], Activity]  # of the source; asked while a statement of ours runs, too
    spent: Callable[[], float]  # seconds that the source was asked by us so far: what a window asks beside its chunks counts as well
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
        self._spent = manners.spent()
        self._looks = deque[tuple[float, bool]]()  # when, and whether others had done something

    @property
    def used_share(self) -> float | None:
        """The share of time that the source is read."""
        return self.share.value

    @contextmanager
    def reading(self) -> Iterator[Served]:
        """Leave the source alone for as long as what it was asked since asks for, less what passed since, then let the block read."""
        manners, began = self._manners, self._manners.spent()
        self._wait(self._free_at + self.share.pause(began - self._spent) - manners.clock())
        before, served = manners.activity(), Served()
        with _sampling(manners.activity) as samples:
            yield served
        self._spent = manners.spent()
        felt = Felt(before, statistics.median(samples) if samples else None, self._is_at_work(before))
        self.share = self.share.next(self._spent - began, served, felt, manners.max_sessions)
        self._free_at = manners.clock() + self.share.pause(self._spent - began)

    def _is_at_work(self, activity: Activity) -> bool:
        """Whether others than we do more than a little since some seconds; as long as that is not known, they do."""
        now = self._manners.clock()
        self._looks.append((now, activity.has_others))
        while len(self._looks) > 1 and now - self._looks[1][0] >= LOOK_SECONDS:
            self._looks.popleft()
        found = [has_others for _, has_others in self._looks]
        return now - self._looks[0][0] < LEAST_LOOK_SECONDS or sum(found) > AT_WORK * len(found)

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
