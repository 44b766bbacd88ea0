"""The throttle of a back-fill: a share of the time that grows slowly, is halved at the first sign of trouble, and never ends."""

import threading
from itertools import chain, count, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import LoadConflict
from pipelines.sync.throttle import (
    AGING,
    CHUNK_ROWS,
    DECREASE,
    FELT_FACTOR,
    FIRST_SHARE,
    INCREASE,
    LEAST_SHARE,
    LONGEST_PAUSE,
    MOST_SHARE,
    SHARE_AT_WORK,
    SLOW_FACTOR,
    Activity,
    Felt,
    Manners,
    Served,
    Share,
    Stopped,
    Yielding,
)

WORK = 0.002  # seconds of the small fixed piece of work, on an idle source
QUIET = Felt(Activity(sessions=0, seconds=WORK), WORK)


def busy(sessions: int = 0, *, before: float = WORK, during: float | None = WORK) -> Felt:
    return Felt(Activity(sessions, before), during)


def served(rows: int = CHUNK_ROWS, *, is_whole: bool = True) -> Served:
    told = Served()
    told.rows, told.is_whole = rows, is_whole
    return told


def after(share: Share, *chunks: tuple[float, Felt], rows: int = CHUNK_ROWS) -> Share:
    for seconds, felt in chunks:
        share = share.next(seconds, served(rows), felt, max_sessions=8)
    return share


def test_a_quiet_source_is_read_more_and_more_until_all_the_time() -> None:
    share = after(Share(), (1.0, QUIET))
    assert share.value == pytest.approx(FIRST_SHARE + INCREASE)
    assert after(share, *[(1.0, QUIET)] * 100).value == MOST_SHARE


def test_a_statement_that_takes_twice_as_long_halves_the_share() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (1.1, QUIET)).value == pytest.approx(share.value * DECREASE)


def test_a_source_that_is_slow_while_nothing_of_ours_is_read_halves_the_share() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (0.5, busy(before=3 * WORK))).value == pytest.approx(share.value * DECREASE)


def test_a_statement_that_others_feel_halves_the_share_however_quick_it_is_itself() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (0.5, busy(during=2 * FELT_FACTOR * WORK))).value == pytest.approx(share.value * DECREASE)
    assert after(share, (0.5, busy(during=None))).value > share.value


def test_while_an_application_is_at_work_less_than_a_twentieth_of_the_time_is_read() -> None:
    at_work = Felt(QUIET.before, WORK, is_at_work=True)
    assert after(Share(), *[(0.5, at_work)] * 50).value == SHARE_AT_WORK < 0.05
    assert after(Share(), *[(0.5, QUIET)] * 50, (0.5, at_work)).value == SHARE_AT_WORK
    assert after(Share(), (0.5, at_work), (0.5, QUIET)).value > SHARE_AT_WORK


def test_many_sessions_at_work_halve_the_share_however_quick_the_source_is() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6)
    assert after(share, (0.5, busy(9))).value == pytest.approx(share.value * DECREASE)
    assert after(share, (0.5, busy(8))).value > share.value


def test_a_busy_source_is_still_read_a_little_so_that_the_back_fill_ends() -> None:
    assert after(Share(), *[(1.0, busy(100, before=1.0, during=2.0))] * 50).value == LEAST_SHARE


def test_the_rest_of_a_part_is_no_sign_of_a_slow_source() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 3)
    assert share.next(0.3, served(10, is_whole=False), QUIET, max_sessions=8).value > share.value


def test_wide_rows_make_small_chunks_and_count_all_the_same() -> None:
    share = after(Share(), *[(0.5, QUIET)] * 6, rows=300)
    assert after(share, (1.1, QUIET), rows=300).value == pytest.approx(share.value * DECREASE)


def test_a_few_quick_chunks_from_a_cache_do_not_slow_a_back_fill_for_good() -> None:
    share = after(Share(), *[(0.4, QUIET)] * 5, *[(1.0, QUIET)] * 200)
    assert share.value == MOST_SHARE
    assert AGING < SLOW_FACTOR


def test_what_a_live_sync_fills_is_not_made_to_wait_for_hours() -> None:
    assert after(Share(least=0.25), *[(1.0, busy(100, before=1.0, during=2.0))] * 50).value == 0.25


def test_trembling_below_what_a_network_trembles_is_no_load() -> None:
    share = Share().next(0.001, served(), QUIET, max_sessions=8)
    assert share.next(0.015, served(), QUIET, max_sessions=8).value > share.value


@given(
    st.lists(
        st.tuples(
            st.floats(0, 100), st.integers(0, 300_000), st.booleans(), st.integers(0, 500), st.floats(0, 10), st.none() | st.floats(0, 10)
        )
    )
)
def test_the_share_stays_within_its_bounds_and_every_pause_ends(chunks: list[tuple[float, int, bool, int, float, float | None]]) -> None:
    share = Share()
    for seconds, rows, is_whole, sessions, before, during in chunks:
        share = share.next(seconds, served(rows, is_whole=is_whole), Felt(Activity(sessions, before), during), max_sessions=8)
        assert LEAST_SHARE <= share.value <= MOST_SHARE
        assert 0 <= share.pause(seconds) <= LONGEST_PAUSE


class World(threading.Event):
    """A clock that only waiting and reading move, and a source whose statements take ``seconds``."""

    def __init__(self, seconds: float = 1.0) -> None:
        super().__init__()
        self.now, self.waited, self.seconds, self.syncs = 0.0, 0.0, seconds, repeat(False)
        self.spent = 0.0

    def wait(self, timeout: float | None = None) -> bool:
        self.now, self.waited = self.now + (timeout or 0), self.waited + (timeout or 0)
        return self.is_set()

    def ask(self, seconds: float) -> None:
        self.now, self.spent = self.now + seconds, self.spent + seconds

    def throttle(self) -> Yielding:
        return Yielding(Manners(lambda: QUIET.before, lambda: self.spent, lambda _table: next(self.syncs), 8, self, lambda: self.now))

    def read(self, throttle: Yielding) -> None:
        with throttle.reading() as told:
            self.ask(self.seconds)
            told.rows, told.is_whole = CHUNK_ROWS, True


def test_the_first_read_waits_for_nothing_and_the_next_for_the_share_of_the_one_before() -> None:
    world = World()
    throttle = world.throttle()
    world.read(throttle)
    assert world.waited == 0
    world.read(throttle)
    assert world.waited == pytest.approx(1 / SHARE_AT_WORK - 1)


def test_what_was_done_with_a_chunk_meanwhile_is_a_pause_too() -> None:
    world = World()
    throttle = world.throttle()
    world.read(throttle)
    world.now += 2.5
    world.read(throttle)
    assert world.waited == pytest.approx(1 / SHARE_AT_WORK - 1 - 2.5)


@pytest.mark.parametrize(("every", "is_limited"), [(None, False), (10, False), (2, True), (1, True)])
def test_others_at_work_are_seen_and_a_monitor_that_asks_now_and_then_is_not(every: int | None, is_limited: bool) -> None:
    world = World()
    looks = count()
    activities = (Activity(0, WORK, has_others=every is not None and look % every == 0) for look in looks)
    throttle = Yielding(Manners(lambda: next(activities), lambda: world.spent, lambda _table: False, 8, world, lambda: world.now))
    for _ in range(41):
        world.read(throttle)
    assert (throttle.share.value <= SHARE_AT_WORK) == is_limited


def test_what_a_window_asks_beside_its_chunks_is_waited_for_too() -> None:
    world = World()
    throttle = world.throttle()
    world.read(throttle)
    world.ask(0.2)
    world.read(throttle)
    assert world.waited == pytest.approx((1 + 0.2) * (1 / SHARE_AT_WORK - 1) - 0.2)


def test_a_commit_waits_for_as_long_as_the_table_is_synced() -> None:
    world = World()
    world.syncs = chain([True, True, True], repeat(False))
    world.throttle().before_commit("shop.events")
    assert world.waited > 0
    assert next(world.syncs) is False


def test_a_commit_does_not_wait_for_ever_behind_a_sync_that_is_stuck() -> None:
    world = World()
    world.syncs = repeat(True)
    with pytest.raises(LoadConflict, match=r"shop\.events has been synced for 4 hours"):
        world.throttle().before_commit("shop.events")


def test_one_that_is_to_stop_reads_nothing_more() -> None:
    world = World()
    throttle = world.throttle()
    world.read(throttle)
    world.set()
    with pytest.raises(Stopped):
        world.read(throttle)


def test_a_read_that_fails_is_raised_and_counts_for_nothing() -> None:
    throttle = World().throttle()
    with pytest.raises(RuntimeError), throttle.reading():
        raise RuntimeError("the source is gone")
    assert throttle.share == Share()
