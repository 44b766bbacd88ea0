"""The horizon against random histories of transactions: what a sync could not see is at or above the next lower bound."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sync import horizon
from pipelines.sync.model import Observation

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


@dataclass(frozen=True)
class Transaction:
    """Writes one row; its cursor is its start (a clock) or the next number when it writes (a sequence)."""

    id: int
    began: int
    wrote: int
    prepared: int | None
    ended: int


@st.composite
def transactions(draw: st.DrawFn) -> list[Transaction]:
    found = []
    for number in range(draw(st.integers(1, 12))):
        moments = sorted(draw(st.lists(st.integers(0, 600), min_size=4, max_size=4, unique=True)))
        is_prepared = draw(st.booleans())
        found.append(Transaction(number, moments[0], moments[1], moments[2] if is_prepared else None, moments[3]))
    return found


def observe(history: list[Transaction], second: int, is_clock: bool, is_blind: bool) -> Observation:
    numbers = {one.id: n for n, one in enumerate(sorted(history, key=lambda one: (one.wrote, one.id)))}
    cursors = [at(one.began).isoformat() if is_clock else str(numbers[one.id]) for one in history if one.ended <= second]
    is_open = [one for one in history if one.began <= second < one.ended]
    sessions = [one for one in is_open if one.prepared is None or second < one.prepared]
    oldest = None if is_blind else min((at(one.began) for one in sessions), default=None)
    return Observation(
        observed_at=at(second),
        max_cursor=(max(cursors) if is_clock else str(max(map(int, cursors)))) if cursors else None,
        observed_cursor=at(second).isoformat() if is_clock else None,
        oldest_open_at=oldest,
        oldest_open_cursor=oldest.isoformat() if oldest and is_clock else None,
        open_ids=tuple(f"prepared {one.id}" if one not in sessions else f"3/{one.id}" for one in is_open),
        is_blind=is_blind,
    )


@settings(max_examples=200, deadline=None)
@given(transactions(), st.lists(st.integers(0, 620), min_size=1, max_size=8, unique=True), st.booleans(), st.booleans())
def test_no_row_that_a_sync_could_not_see_lies_below_the_next_lower_bound(
    history: list[Transaction], moments: list[int], is_clock: bool, is_blind: bool
) -> None:
    numbers = {one.id: n for n, one in enumerate(sorted(history, key=lambda one: (one.wrote, one.id)))}
    seen: tuple[Observation, ...] = ()
    for second in sorted(moments):
        now = observe(history, second, is_clock, is_blind)
        lower = horizon.next_lower(seen, now)
        seen = horizon.remember(seen, now)
        for one in history:
            if one.ended > second and lower is not None:
                cursor = at(one.began).isoformat() if is_clock else numbers[one.id]
                assert cursor >= (lower if is_clock else int(lower)), (one, now, lower)


@given(st.integers(0, 500))
def test_the_history_stays_short_and_keeps_its_first_and_last(count: int) -> None:
    seen: tuple[Observation, ...] = ()
    for second in range(count):
        seen = horizon.remember(seen, Observation(at(second)))
    assert len(seen) <= horizon.KEPT_OBSERVATIONS
    if count:
        assert (seen[0].observed_at, seen[-1].observed_at) == (at(0), at(count - 1))


def test_an_idle_source_is_read_from_a_little_before_its_clock_on() -> None:
    now = Observation(at(100), max_cursor=at(90).isoformat(), observed_cursor=at(100).isoformat())
    assert horizon.next_lower((), now) == at(90).isoformat()
    future = Observation(at(100), max_cursor="9999-12-31 00:00:00+00", observed_cursor=at(100).isoformat())
    assert horizon.next_lower((), future) == (at(100) - horizon.UNSEEN).isoformat()


def test_an_empty_table_is_read_whole() -> None:
    assert horizon.next_lower((), Observation(at(1))) is None


def test_a_prepared_transaction_of_unknown_age_makes_the_next_load_read_everything() -> None:
    now = Observation(at(100), max_cursor="5", open_ids=("prepared x",))
    assert horizon.next_lower((), now) is None
    assert horizon.next_lower((Observation(at(50), max_cursor="3"),), now) == "3"
