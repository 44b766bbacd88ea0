"""How far back the next load must look, so that a transaction that was open during this one loses no row. Pure.

The rule, for the observation made just before a sync's first snapshot: every row that the sync could not see was written by
a transaction that was open at that instant, or by one that began later. So the next lower bound is the earliest of the
greatest cursor, the observed time, and the start of the oldest open transaction. Where the server hides start times, a
transaction that is still open began after the last observation that did not hold its id. An integer cursor has no clock, so
times are mapped to it through the stored observations (time, greatest cursor).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.sync.model import Observation

KEPT_OBSERVATIONS = 64
PREPARED = "prepared "  # begins the id of a prepared transaction, of which no start is known
UNSEEN = timedelta(seconds=2)
MAX_OVERLAP = timedelta(days=1)  # a transaction open for longer is named in a warning; see `is_overlong`


def next_lower(history: Sequence[Observation], current: Observation) -> str | None:
    """Return the inclusive lower bound of the next load as the cursor's text; None means: read everything again.

    ``history`` are the observations of earlier committed loads, oldest first.
    """
    if current.max_cursor is None:
        return None
    starts = _starts(history, current)
    if _is_integer(current.max_cursor):
        began_at = min((start.at for start in starts), default=None)
        return current.max_cursor if began_at is None else _cursor_at(history, began_at)
    bounds = [current.max_cursor]
    if current.observed_cursor:
        bounds.append(_a_little_before(current.observed_cursor))
    for start in starts:
        if start.cursor is None:
            return None
        bounds.append(start.cursor)
    return min(bounds, key=_instant)


def unseen_since(history: Sequence[Observation]) -> datetime | None:
    """Return an instant that no later than which every transaction began whose rows the last sync of a table may not have seen.

    A crash may have come between the loads of one sync, so the observation before it counts too. None if nothing is known; a
    transaction whose start is hidden, and that every observation holds, is left out.
    """
    if not history:
        return None
    starts = [start for n in range(len(history))[-2:] for start in _starts(history[:n], history[n])]
    return min([history[-1].observed_at, *(start.at for start in starts if start.at.year > 1)])


def remember(history: Sequence[Observation], current: Observation) -> tuple[Observation, ...]:
    """Return the history with ``current`` at its end, thinned so that it stays short and still reaches back."""
    # Several loads of one sync stand on one observation.
    kept = [*history, current] if not history or history[-1] != current else list(history)
    if len(kept) > KEPT_OBSERVATIONS:
        # Drop every other one of the older half: precision where it matters, reach where it helps.
        half = len(kept) // 2
        kept = [*kept[:half:2], *kept[half:]]
    return tuple(kept)


def is_overlong(current: Observation) -> bool:
    """Whether an open transaction holds the horizon back for so long that a person should know its session."""
    return current.oldest_open_at is not None and current.observed_at - current.oldest_open_at > MAX_OVERLAP


@dataclass(frozen=True)
class _Start:
    """An instant no later than the start of a transaction, and the cursor's text for it; None if no bound is known."""

    at: datetime
    cursor: str | None


def _starts(history: Sequence[Observation], current: Observation) -> list[_Start]:
    """Return a start for the transactions that were open: the oldest that was seen, and one for each whose start is hidden."""
    starts = [_Start(current.oldest_open_at, current.oldest_open_cursor)] if current.oldest_open_at else []
    hidden = [id_ for id_ in current.open_ids if current.is_blind or id_.startswith(PREPARED)]
    for transaction in hidden:
        position = next((n for n in range(len(history) - 1, -1, -1) if transaction not in history[n].open_ids), None)
        if position is None:
            starts.append(_Start(datetime.min.replace(tzinfo=current.observed_at.tzinfo), None))
            continue
        seen = history[position]
        before = _a_little_before(seen.observed_cursor) if seen.observed_cursor else None
        starts.append(_Start(seen.observed_at, before))
        if transaction.startswith(PREPARED):
            # It may have been open already, under the id of its session.
            starts += _starts(history[:position], seen)
    return starts


def _a_little_before(cursor: str) -> str:
    """Return ``cursor`` less the time in which a transaction has its start already and no observation shows it yet."""
    try:
        return (datetime.fromisoformat(cursor) - UNSEEN).isoformat() if len(cursor) > len("2026-01-01") else cursor
    except (ValueError, OverflowError):
        return cursor


def _cursor_at(history: Sequence[Observation], instant: datetime) -> str | None:
    earlier = [seen.max_cursor for seen in history if seen.observed_at <= instant and seen.max_cursor is not None]
    return earlier[-1] if earlier else None


def _is_integer(text: str) -> bool:
    return text.lstrip("-").isdigit()


def _instant(text: str) -> datetime:
    """Return the text as an instant for comparing; what Python cannot hold is far in the future or the past."""
    if text.endswith(" BC"):
        return datetime.min
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return datetime.max
