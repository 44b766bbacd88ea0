"""The throttle of a back-fill: a share of the time that grows slowly, is halved at the first sign of trouble, and never ends."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sync.throttle import (
    CHUNK_ROWS,
    DECREASE,
    FIRST_SHARE,
    INCREASE,
    LEAST_SHARE,
    LONGEST_PAUSE,
    MOST_SHARE,
    Activity,
    Manners,
    Share,
    Yielding,
)

QUIET = Activity(sessions=0, seconds=0.001)


def after(share: Share, *chunks: tuple[float, Activity]) -> Share:
    for seconds, activity in chunks:
        share = share.next(seconds, CHUNK_ROWS, activity, max_sessions=8)
    return share


def test_a_quiet_source_is_read_more_and_more_until_all_the_time() -> None:
    share = after(Share(), (1.0, QUIET))
    assert share.value == pytest.approx(FIRST_SHARE + INCREASE)
    assert after(share, *[(1.0, QUIET)] * 100).value == MOST_SHARE


def test_a_statement_that_takes_twice_as_long_halves_the_share() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (1.1, QUIET)).value == pytest.approx(share.value * DECREASE)


def test_a_source_that_answers_slowly_in_between_halves_the_share() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (0.5, Activity(0, 0.5))).value == pytest.approx(share.value * DECREASE)


def test_many_sessions_at_work_halve_the_share_however_quick_the_source_is() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (0.5, Activity(9, 0.001))).value == pytest.approx(share.value * DECREASE)
    assert after(share, (0.5, Activity(8, 0.001))).value > share.value


def test_a_busy_source_is_still_read_a_little_so_that_the_back_fill_ends() -> None:
    assert after(Share(), *[(1.0, Activity(100, 1.0))] * 50).value == LEAST_SHARE


def test_the_small_last_chunk_of_a_day_is_no_sign_of_a_slow_source() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 3)
    assert share.next(0.3, 10, QUIET, max_sessions=8).value > share.value


def test_trembling_below_what_a_network_trembles_is_no_load() -> None:
    share = Share().next(0.001, CHUNK_ROWS, Activity(0, 0.0005), max_sessions=8)
    assert share.next(0.015, CHUNK_ROWS, Activity(0, 0.015), max_sessions=8).value > share.value


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 300_000), st.integers(0, 500), st.floats(0, 10))))
def test_the_share_stays_within_its_bounds_and_every_pause_ends(chunks: list[tuple[float, int, int, float]]) -> None:
    share = Share()
    for seconds, rows, sessions, answer in chunks:
        share = share.next(seconds, rows, Activity(sessions, answer), max_sessions=8)
        assert LEAST_SHARE <= share.value <= MOST_SHARE
        assert 0 <= share.pause(seconds) <= LONGEST_PAUSE


class World:
    """A clock that only sleeping and reading move, and a source whose statements take ``seconds``."""

    def __init__(self, seconds: float) -> None:
        self.now, self.slept, self.seconds, self.syncs = 0.0, 0.0, seconds, iter(())

    def sleep(self, seconds: float) -> None:
        self.now, self.slept = self.now + seconds, self.slept + seconds

    def manners(self) -> Manners:
        return Manners(
            activity=lambda: QUIET,
            is_synced=lambda _table: next(self.syncs, False),
            max_sessions=8,
            sleep=self.sleep,
            clock=lambda: self.now,
        )

    def read(self, throttle: Yielding) -> None:
        with throttle.reading() as served:
            self.now += self.seconds
            served.rows = CHUNK_ROWS


def test_the_first_read_waits_for_nothing_and_the_next_for_the_share_of_the_one_before() -> None:
    world = World(seconds=1.0)
    throttle = Yielding(world.manners())
    world.read(throttle)
    assert world.slept == 0
    world.read(throttle)
    assert world.slept == pytest.approx(1 / (FIRST_SHARE + INCREASE) - 1)


def test_a_commit_waits_for_as_long_as_the_table_is_synced() -> None:
    world = World(seconds=1.0)

    def syncs() -> Iterator[bool]:
        yield from (True, True, True)

    world.syncs = syncs()  # type: ignore[assignment]
    Yielding(world.manners()).before_commit("shop.events")
    assert world.slept > 0
    assert next(world.syncs, "over") == "over"


def test_a_read_that_fails_is_raised_and_counts_for_nothing() -> None:
    throttle = Yielding(World(seconds=1.0).manners())
    with pytest.raises(RuntimeError), throttle.reading():
        raise RuntimeError("the source is gone")
    assert throttle.share == Share()
