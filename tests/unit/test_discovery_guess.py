"""Guesses about a table: a cheaper mode only where nothing can be missed, and a reason for each."""

from dataclasses import replace
from datetime import date

import pytest

from pipelines.discovery.guess import TableGuess, guess_catalog, guess_table
from pipelines.discovery.survey import Activity, Partitioning, Survey, SurveyedColumn, SurveyedTable, UniqueIndex

ID = SurveyedColumn("id", "bigint", "int8", is_nullable=False)
PRIMARY = UniqueIndex("things_pkey", ("id",), is_primary=True)
BIG = Activity(rows=5_000_000, live=5_000_000, inserted=5_000_000)


def moment(name: str, *, is_nullable: bool = False, type_: str = "timestamptz", oldest: date | None = None) -> SurveyedColumn:
    return SurveyedColumn(name, type_, type_, is_nullable, oldest=oldest)


def table(*columns: SurveyedColumn, **facts: object) -> SurveyedTable:
    return replace(SurveyedTable("things", "table", (ID, *columns), (PRIMARY,), activity=Activity(rows=10, live=10)), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["updated_at", "UpdatedAt", "modified", "last_update", "ModifiedDate", "date_modified", "thing_updated_at", "mtime"]
)
def test_a_not_null_time_of_the_last_change_makes_a_table_incremental(name: str) -> None:
    guess = guess_table(table(moment(name)))
    assert (guess.mode, guess.cursor and guess.cursor.column) == ("incremental", name)
    assert "deleted" in guess.mode_reason


@pytest.mark.parametrize("name", ["status_changed_at", "password_updated_at", "updated_by_at_work", "update_count_at", "created_at"])
def test_a_time_of_something_else_is_no_cursor(name: str) -> None:
    assert guess_table(table(moment(name), activity=BIG, indexed=frozenset({name}))).mode == "snapshot"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (table(moment("updated_at", is_nullable=True)), "may be NULL"),
        (table(moment("updated_at"), unique=()), "no key to merge by"),
        (table(moment("updated_at"), activity=BIG), "has no index"),
        (table(moment("created_at")), "it would miss updates"),
        (table(moment("updated_at", type_="date")), "no column says when a row changed"),
        (table(), "no column says when a row changed"),
    ],
)
def test_an_unsafe_cursor_leaves_a_snapshot_and_says_why(changed: SurveyedTable, reason: str) -> None:
    guess = guess_table(changed)
    assert guess.mode == "snapshot"
    assert reason in guess.mode_reason


def test_an_index_on_the_cursor_makes_a_big_table_incremental() -> None:
    found = guess_table(table(moment("modified"), moment("updated_at"), activity=BIG, indexed=frozenset({"updated_at"})))
    assert found.cursor is not None
    assert found.cursor.column == "updated_at"


def test_a_key_is_the_primary_one_else_the_unique_index_of_fewest_columns_without_null() -> None:
    code, other = SurveyedColumn("code", "text", "text", is_nullable=False), SurveyedColumn("other", "text", "text", is_nullable=True)
    unique = tuple(
        UniqueIndex(name, columns, is_primary=False) for name, columns in (("a", ("other",)), ("b", ("id", "code")), ("c", ("code",)))
    )
    assert guess_table(table(code, other, unique=unique)).key == ("code",)
    assert guess_table(table(code, other, unique=(*unique, PRIMARY))).key == ("id",)
    without = guess_table(table(code, other, unique=unique[:1]))
    assert (without.key, "may be NULL" in without.key_reason) == ((), True)


def test_a_parent_of_inheriting_tables_has_no_key() -> None:
    assert guess_table(table(children=2)).key == ()


def test_a_key_of_columns_that_cannot_land_is_none() -> None:
    columns = (SurveyedColumn("ID", "bigint", "int8", is_nullable=False), SurveyedColumn("_load_id", "int", "int4", is_nullable=False))
    for names in (("id", "ID"), ("_load_id",)):
        assert guess_table(table(*columns, unique=(UniqueIndex("u", names, is_primary=True),))).key == ()
    hidden = replace(ID, is_readable=False)
    guess = guess_table(SurveyedTable("things", "table", (hidden, moment("a")), (PRIMARY,)))
    assert (guess.key, [(mask.column, mask.mask, mask.is_on) for mask in guess.masks]) == ((), [("id", "drop", True)])


def by_day(**facts: object) -> SurveyedTable:
    given = {"activity": BIG, "partitioning": Partitioning("at", 24, date(2024, 1, 1)), **facts}
    return table(moment("at"), **given)


def start_of(guess: TableGuess) -> date | None:
    return guess.partition and guess.partition.start


def test_a_big_table_that_postgresql_cuts_by_time_is_partitioned_from_its_first_bound() -> None:
    guess = guess_table(by_day())
    assert (guess.mode, start_of(guess)) == ("partitioned", date(2024, 1, 1))


def test_rows_that_change_later_keep_a_table_from_being_partitioned() -> None:
    for activity in (replace(BIG, updated=3), replace(BIG, deleted=1)):
        guess = guess_table(by_day(activity=activity))
        assert guess.mode == "snapshot"
        assert "would be missed" in guess.mode_reason


def test_a_first_day_that_nobody_knows_keeps_a_table_from_being_partitioned() -> None:
    guess = guess_table(by_day(partitioning=Partitioning("at", 24, None)))
    assert (guess.mode, "first day is not known" in guess.mode_reason) == ("snapshot", True)


def test_the_statistics_give_a_first_day_a_year_early() -> None:
    event = moment("occurred_at", oldest=date(2023, 5, 6))
    guess = guess_table(table(event, activity=BIG, indexed=frozenset({"occurred_at"})))
    assert (guess.mode, start_of(guess)) == ("partitioned", date(2022, 1, 1))
    unknown = guess_table(table(event, activity=replace(BIG, inserted=0), indexed=frozenset({"occurred_at"})))
    assert unknown.mode == "snapshot"


@pytest.mark.parametrize("facts", [{"activity": Activity(rows=1000, inserted=1000)}, {"partitioning": Partitioning(None, 4)}])
def test_small_tables_and_those_cut_by_something_else_are_snapshots(facts: dict[str, object]) -> None:
    assert guess_table(by_day(**facts)).mode == "snapshot"


def test_an_updated_time_is_preferred_to_days_because_it_sees_old_rows_change() -> None:
    both = replace(by_day(), columns=(ID, moment("at"), moment("updated_at")), indexed=frozenset({"updated_at"}))
    assert guess_table(both).mode == "incremental"


@pytest.mark.parametrize(
    ("activity", "is_filled"),
    [
        (Activity(rows=10, live=10, inserted=10), True),
        (Activity(rows=10, live=0, inserted=10, deleted=10), False),  # the planner's number is stale
        (Activity(rows=10), True),  # a standby counts nothing
        (Activity(), False),
    ],
)
def test_only_a_table_that_surely_has_rows_must_have_rows(activity: Activity, is_filled: bool) -> None:
    assert guess_table(table(activity=activity)).is_filled is is_filled
    assert not guess_table(table(moment("updated_at"), activity=activity)).is_filled


def test_a_personal_key_is_told_and_not_masked() -> None:
    email = SurveyedColumn("email", "text", "text", is_nullable=False)
    guess = guess_table(table(email, unique=(UniqueIndex("u", ("email",), is_primary=True),)), masks_personal=True)
    assert [(mask.mask, mask.is_on) for mask in guess.masks] == [(None, False)]


def test_of_two_tables_that_are_one_name_to_the_warehouse_one_is_left_out() -> None:
    found = guess_catalog(Survey("db", "public", (replace(table(), name="Things"), table())))
    assert [entry.name for entry in found.entries] == ["Things"]
    assert [name for name, _ in found.left_out] == ["things"]
    assert "another name" in found.left_out[0][1]
