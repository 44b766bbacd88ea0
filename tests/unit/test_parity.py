"""How a comparison decides: cuts, stretches, what differs, what may be deleted."""

from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.sync import parity
from pipelines.sync.model import Observation, Watermark
from pipelines.sync.reconcile import judge
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.sides import Cut, Difference, Digest, HashedRow, ParityResult, Scope, Stretch
from pipelines.sync.spec import PartitionSpec, TableSpec

NOW = datetime(2026, 3, 10, tzinfo=UTC)
SPEC = TableSpec("shop", "public", "t", "incremental", ("id",), "at")
SCHEMA = TableSchema((Column("id", "bigint", pa.int64()), Column("at", "timestamptz", pa.timestamp("us", tz="UTC"))), "1/1/1")
TEXT_KEY = TableSchema((Column("id", "text", pa.string()),), "1/1/1")


def row(key: str, content: str = "", state: str = "open") -> HashedRow:
    return HashedRow((key,), key, content, state)  # type: ignore[arg-type]


def test_rows_are_compared_by_key_and_content() -> None:
    source = [row("1", "a"), row("2", "b"), row("3", "c")]
    warehouse = [row("1", "a"), row("2", "x"), row("4", "d"), row("4", "d")]
    found = {one.row.key: (one.kind, one.rows) for one in parity.compare_rows(source, warehouse)}
    assert found == {("2",): ("different", 1), ("3",): ("missing", 1), ("4",): ("extra", 2)}


def test_a_key_that_stands_twice_is_different_even_if_both_rows_are_right() -> None:
    (found,) = parity.compare_rows([row("1", "a")], [row("1", "a"), row("1", "a")])
    assert (found.kind, found.rows) == ("different", 2)


def test_rows_without_a_key_are_counted() -> None:
    alike = HashedRow((), "h", "h")
    (found,) = parity.compare_rows([alike] * 5, [alike] * 2)
    assert (found.kind, found.rows) == ("missing", 3)


def test_only_what_stood_still_on_both_sides_is_a_difference() -> None:
    first = ([row("1", "a"), row("2", "b"), row("3", "c")], [row("1", "x"), row("2", "x"), row("3", "x")])
    second = ([row("1", "a"), row("2", "changed"), row("3", "c")], [row("1", "x"), row("2", "x"), row("3", "loaded")])
    assert [one.row.key for one in parity.confirm(first, second)] == [("1",)]


@given(st.sets(st.integers(-(2**40), 2**40), min_size=1, max_size=40), st.data())
def test_ranges_cover_every_number_once_whatever_is_due(numbers: set[int], data: st.DataObject) -> None:
    scope = Scope(SPEC, SCHEMA, SCHEMA.columns, Cut("range", 5), page_rows=100)
    known = {f"5.{number}/": Digest(data.draw(st.integers(0, 90)), 0) for number in numbers}
    due = {name for name in known if data.draw(st.booleans())}
    probe = data.draw(st.integers(-(2**50), 2**50))
    read = [any(_holds(stretch, probe) for stretch in parity.cut_stretches(scope, known, names)) for names in (due, set(known) - due)]
    assert sorted(read) == [False, True]


def _holds(stretch: Stretch, number: int) -> bool:
    return (stretch.lower is None or number >= int(stretch.lower)) and (stretch.upper is None or number < int(stretch.upper))


def test_neighbours_are_read_together_up_to_a_page() -> None:
    scope = Scope(SPEC, SCHEMA, SCHEMA.columns, Cut("range", 2), page_rows=25)
    known = {f"2.{number}/": Digest(10, 0) for number in range(5)}
    assert parity.cut_stretches(scope, known, {"2.0/", "2.1/", "2.2/", "2.4/"}) == (
        Stretch(None, "8"),
        Stretch("8", "12"),
        Stretch("16", None),
    )


def test_only_known_days_are_read_and_rows_in_no_day_apart() -> None:
    spec = TableSpec("shop", "public", "t", "partitioned", ("id",), partition=PartitionSpec("at", date(2026, 1, 1)))
    scope = Scope(spec, SCHEMA, SCHEMA.columns, Cut("day"), 100, time_zone="Europe/Berlin")
    known = {f"{day}/": Digest(10, 0) for day in ("2026-03-28", "2026-03-29", "2026-03-31", "none")}
    assert parity.cut_stretches(scope, known, known) == (
        Stretch("2026-03-28T00:00:00+01:00", "2026-03-30T00:00:00+02:00"),
        Stretch("2026-03-31T00:00:00+02:00", "2026-04-01T00:00:00+02:00"),
        Stretch(is_null=True),
    )


@pytest.mark.parametrize(
    ("schema", "stored", "measured", "cut"),
    [
        (SCHEMA, (), (0, 0, 0), Cut("range", 1)),
        (SCHEMA, (), (1_000_000, 1, 1_000_000), Cut("range", 14)),
        (SCHEMA, ("9.1/", "9.2/"), (1_000_000, 1, 1_000_000), Cut("range", 9)),
        (TEXT_KEY, (), (2_000, 0, 0), Cut("hash", 0, 0)),
        (TEXT_KEY, (), (100_000, 0, 0), Cut("hash", 0, 2)),
        (TEXT_KEY, (), (10**12, 0, 0), Cut("hash", 0, 4)),
    ],
)
def test_a_table_is_cut_by_what_it_has(schema: TableSchema, stored: tuple[str, ...], measured: tuple[int, int, int], cut: Cut) -> None:
    assert parity.choose_cut(SPEC, schema, stored, measured) == cut


def test_a_stored_bucket_of_another_cut_is_not_believed() -> None:
    assert parity.is_of_cut(Cut("range", 9), "9.-3/")
    assert not parity.is_of_cut(Cut("range", 9), "8.3/")
    assert not parity.is_of_cut(Cut("range", 9), "2026-03-01/")
    assert not parity.is_of_cut(Cut("day"), "9.3/")
    assert parity.is_of_cut(Cut("day"), "none/")
    assert parity.is_of_cut(Cut("hash", 0, 2), "/af")
    assert not parity.is_of_cut(Cut("hash", 0, 2), "/afa")


def test_the_watermark_itself_is_settled_only_if_nothing_was_open() -> None:
    quiet = Observation(NOW, "5")
    assert parity.settled_until(Watermark("5", "5", observations=(quiet,))) == ("<=", "5")
    assert parity.settled_until(Watermark("5", "5", observations=(Observation(NOW, "5", open_ids=("1/2",)),))) == ("<", "5")
    assert parity.settled_until(Watermark("5", "3", observations=(quiet,))) == ("<", "3")
    assert parity.settled_until(Watermark("5", None, observations=(quiet,))) is None


@pytest.mark.parametrize(
    ("limit", "vanished", "compared", "source", "is_held"),
    [
        (0.05, 10, 20, 10, False),  # a few are always tolerated
        (0.05, 11, 20, 10, True),
        (0.05, 50, 1000, 950, False),
        (0.05, 51, 1000, 949, True),
        (0, 1, 1000, 999, True),
        (1.0, 5, 5, 0, True),  # an empty source deletes nothing, whatever is allowed
    ],
)
def test_many_deletes_are_held(limit: float, vanished: int, compared: int, source: int, is_held: bool) -> None:
    spec = TableSpec("shop", "public", "t", "incremental", ("id",), "at", deletes="reconcile", max_deletes=limit)
    assert bool(parity.why_not_delete(spec, vanished, Digest(compared), Digest(source))) is is_held


def test_what_is_kept_by_declaration_is_no_difference() -> None:
    result = ParityResult("shop.t", "equal", differences=(Difference("extra", row("1")),))
    kept = judge(SPEC, result)
    assert (kept.outcome, kept.kept, kept.extra) == ("equal", 1, 0)
    followed = judge(TableSpec("shop", "public", "t", "incremental", ("id",), "at", deletes="reconcile"), result)
    assert (followed.outcome, followed.kept, followed.extra, followed.unsettled) == ("differs", 0, 1, 0)
    snapshot = judge(TableSpec("shop", "public", "t", "snapshot", ("id",)), result)
    assert (snapshot.outcome, snapshot.extra, snapshot.unsettled) == ("differs", 1, 1)
