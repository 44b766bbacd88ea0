"""How far back the next load must look, so that a transaction that was open during this one loses no row. Pure.

The rule, for the observation made just before a sync's first snapshot: every row that the sync could not see was written by
a transaction that was open at that instant, or by one that began later. So the next lower bound is the earliest of the
greatest cursor, the observed time, and the start of the oldest open transaction. Where the server hides start times, a
transaction that is still open began after the last observation that did not hold its id. An integer cursor has no clock, so
times are mapped to it through the stored observations (time, greatest cursor).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pipelines.sync.model import Observation

KEPT_OBSERVATIONS = 64
MAX_OVERLAP = timedelta(days=1)  # a transaction open for longer is named in a warning; see `is_overlong`


def next_lower(history: Sequence[Observation], current: Observation) -> str | None:
    """Return the inclusive lower bound of the next load as the cursor's text; None means: read everything again.

    ``history`` are the observations of earlier committed loads, oldest first.
    """
    if current.max_cursor is None:
        return None
    began_at = _oldest_start(history, current)
    if _is_integer(current.max_cursor):
        return current.max_cursor if began_at is None else _cursor_at(history, began_at)
    bounds = [current.max_cursor]
    if current.observed_cursor:
        bounds.append(current.observed_cursor)
    if began_at is not None:
        known = current.oldest_open_cursor if began_at == current.oldest_open_at else None
        at = known or next((seen.observed_cursor for seen in history if seen.observed_at == began_at), None)
        if at is None:
            return None
        bounds.append(at)
    return min(bounds, key=_instant)


def remember(history: Sequence[Observation], current: Observation) -> tuple[Observation, ...]:
    """Return the history with ``current`` at its end, thinned so that it stays short and still reaches back."""
    kept = [*history, current]
    if len(kept) > KEPT_OBSERVATIONS:
        # Drop every other one of the older half: precision where it matters, reach where it helps.
        half = len(kept) // 2
        kept = [*kept[:half:2], *kept[half:]]
    return tuple(kept)


def is_overlong(current: Observation) -> bool:
    """Whether an open transaction holds the horizon back for so long that a person should know its session."""
    return current.oldest_open_at is not None and current.observed_at - current.oldest_open_at > MAX_OVERLAP


def _oldest_start(history: Sequence[Observation], current: Observation) -> datetime | None:
    """Return an instant no later than the start of any transaction that was open; None if none was."""
    if not current.is_blind:
        return current.oldest_open_at
    starts = [current.oldest_open_at] if current.oldest_open_at else []
    for transaction in current.open_ids:
        before = [seen.observed_at for seen in history if transaction not in seen.open_ids]
        starts.append(before[-1] if before else datetime.min.replace(tzinfo=current.observed_at.tzinfo))
    return min(starts) if starts else None


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
