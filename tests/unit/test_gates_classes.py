"""Mistakes in a table's expectations are found before a row is read, all at once, and without importing GX."""

import subprocess
import sys
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.gates.arguments import convert_arguments
from pipelines.gates.classes import check_expectations, find_class, select_expectations
from pipelines.gates.declaration import check_declaration
from pipelines.gates.rules import RULES
from pipelines.sync.spec import Expectation, OnFailure, TableSpec

COLUMNS = {
    "order_id": pa.int64(),
    "units": pa.int32(),
    "status": pa.string(),
    "total": pa.decimal128(10, 2),
    "weight": pa.float32(),
    "ordered_at": pa.timestamp("us", tz="UTC"),
    "local_at": pa.timestamp("us"),
    "due": pa.date32(),
    "opens": pa.time64("us"),
    "is_paid": pa.bool_(),
    "email": pa.string(),
    "ip": pa.string(),
    "tags": pa.list_(pa.string()),
}


def expect(name: str, on_failure: OnFailure = "hold", mostly: float = 1.0, **arguments: Any) -> Expectation:
    """Make an expectation without writing GX's prefix."""
    return Expectation(f"expect_{name}", arguments, on_failure, mostly)


def window(**changed: Any) -> dict[str, Any]:
    """Make a window: between half and double of the last week's mean."""
    return {"constraint_fn": "mean", "range": 7, "offset": {"negative": 0.5, "positive": 1.0}} | changed


def problems_of(*expectations: Expectation) -> list[str]:
    """Check the expectations of a table with two masked columns."""
    masks: dict[str, Any] = {"ip": "drop", "email": "hmac"}
    spec = TableSpec("shop", "public", "orders", "incremental", masks=masks, expectations=expectations)
    return check_expectations(spec, COLUMNS)


def test_checking_the_catalog_imports_neither_gx_nor_pandas_nor_duckdb() -> None:
    code = (
        "import sys, pipelines.gates.classes, pipelines.gates.judge;"
        "print([m for m in ('great_expectations', 'pandas', 'duckdb', 'dagster') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_table_without_row_expectations_never_imports_gx() -> None:
    code = (
        "import sys, pipelines.gates.great_expectations as gate; import pyarrow as pa;"
        "from pipelines.sync.model import TableSpec;"
        "gate.GreatExpectationsGate().check_rows(TableSpec('s', 'p', 't', 'snapshot'), pa.table({'a': [1]}));"
        "print([m for m in ('great_expectations', 'dagster') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_each_expectation_has_one_class() -> None:
    assert find_class(expect("column_values_to_be_between")) == "row"
    assert find_class(expect("column_values_to_be_unique")) == "load"
    assert find_class(expect("table_row_count_to_be_between", min_value=1)) == "load"
    assert find_class(expect("table_row_count_to_be_between", windows=[])) == "history"
    assert find_class(expect("table_row_count_to_equal_other_table")) is None
    both = (expect("column_values_to_be_unique", column="a"), expect("column_values_to_be_null", column="a"))
    spec = TableSpec("shop", "public", "orders", "snapshot", expectations=both)
    assert select_expectations(spec, "load") == both[:1]
    assert select_expectations(spec, "row") == both[1:]


@pytest.mark.parametrize(
    "expectation",
    [
        expect("column_values_to_not_be_null", "quarantine", 0.9, column="tags"),
        expect("column_values_to_be_between", column="ordered_at", min_value=date(2020, 1, 1)),
        expect("column_values_to_be_between", column="ordered_at", min_value="2020-01-01T00:00:00+02:00"),
        expect("column_values_to_be_between", column="local_at", min_value="2020-01-01", strict_min=True),
        expect("column_values_to_be_between", column="due", max_value="2030-01-01"),
        expect("column_values_to_be_between", column="order_id", min_value=0.5),
        expect("column_values_to_be_between", column="status", min_value="a"),
        expect("column_values_to_be_in_set", column="is_paid", value_set=[True]),
        expect("column_values_to_be_unique", column="email"),
        expect("column_values_to_match_regex", column="status", regex="^(a|b)$"),
        expect("column_pair_values_to_be_equal", column_A="order_id", column_B="units"),
        expect("compound_columns_to_be_unique", mostly=0.5, column_list=["order_id", "status"]),
        expect("table_row_count_to_be_between", min_value=1),
        expect("column_mean_to_be_between", column="order_id", min_value=1.5, max_value=2),
        expect("table_row_count_to_be_between", windows=[window()]),
        expect("table_row_count_to_be_between", windows=[window(), window(constraint_fn="max", range=60, offset={"positive": 0})]),
        expect("table_row_count_to_be_between", windows=[window(parameter_name="low")], min_value={"$PARAMETER": "low"}, strict_min=True),
        expect("table_row_count_to_be_between", "warn", windows=[window(parameter_name="low", strict=True)]),
        expect("table_row_count_to_be_between", windows=[window()], min_value=None),
    ],
    ids=lambda expectation: expectation.name,
)
def test_sound_expectations_have_no_problem(expectation: Expectation) -> None:
    assert problems_of(expectation) == []


@pytest.mark.parametrize(
    ("expectation", "words"),
    [
        (expect("column_values_to_be_betwen", column="total"), "did you mean `expect_column_values_to_be_between`?"),
        (expect("table_row_count_to_equal_other_table", other_table_name="x"), "write a dbt test"),
        (expect("column_values_to_match_like_pattern", column="status"), "expect_column_values_to_match_regex"),
        (expect("column_values_to_be_null", column="statsu"), "no column `statsu`; did you mean `status`?"),
        (expect("column_pair_values_to_be_equal", column_A="total", column_B="totl"), "did you mean `total`?"),
        (expect("column_values_to_be_null", column="ip"), "dropped by its mask"),
        (expect("column_values_to_match_regex", column="email", regex="@"), "lands as an hmac"),
        (expect("column_values_to_be_unique", "quarantine", column="status"), "may hold or warn"),
        (expect("column_values_to_be_null", colum="status"), "no argument `colum`; did you mean `column`?"),
        (expect("column_values_to_be_null", colum="status"), "needs the argument `column`"),
        (expect("column_values_to_be_null", column=["status"], mostly_="x"), "no argument `mostly_`"),
        (expect("column_values_to_be_null", column=None), "`column` must name columns"),
        (expect("column_values_to_be_in_set", column="status"), "needs the argument `value_set`"),
        (
            Expectation("expect_column_values_to_be_null", {"column": "due", "mostly": 0.5}, "warn"),
            "beside `on_failure`",
        ),
        (expect("column_values_to_be_null", mostly=0, column="status"), "`mostly` 0 is not"),
        (expect("column_values_to_be_null", mostly=1.1, column="status"), "`mostly` 1.1 is not"),
        (expect("column_max_to_be_between", mostly=0.5, column="total", max_value=1), "takes no `mostly`"),
        (expect("column_values_to_be_between", column="total"), "needs `min_value` or `max_value`"),
        (
            expect("column_values_to_be_between", column="total", min_value="5"),
            "'5' is a str and the column is decimal",
        ),
        (expect("column_values_to_be_between", column="total", min_value=2, max_value=1), "above `max_value`"),
        (expect("column_values_to_be_between", column="total", min_value=True), "True is a bool"),
        (expect("column_values_to_be_between", column="total", min_value=float("nan")), "not a finite number"),
        (
            expect("column_values_to_be_between", column="total", min_value=1, strict_min="yes"),
            "neither true nor false",
        ),
        (expect("column_values_to_be_between", column="status", min_value=5), "text in quotes"),
        (expect("column_values_to_be_between", column="is_paid", min_value=0), "column `is_paid` is bool"),
        (expect("column_values_to_be_between", column="tags", min_value=0), "column `tags` is list"),
        (expect("column_values_to_be_between", column="ordered_at", min_value=datetime(2020, 1, 1)), "has no offset"),
        (expect("column_values_to_be_between", column="ordered_at", min_value="2020-01-01T00:00"), "has no offset"),
        (expect("column_values_to_be_between", column="ordered_at", min_value=5), "write an ISO timestamp"),
        (expect("column_values_to_be_between", column="ordered_at", min_value="soon"), "not an ISO timestamp"),
        (expect("column_values_to_be_between", column="local_at", min_value="2020-01-01T00:00Z"), "has an offset"),
        (expect("column_values_to_be_between", column="due", min_value=datetime(2020, 1, 1)), "write an ISO date"),
        (expect("column_values_to_be_between", column="opens", min_value=30600), "ISO time in quotes"),
        (expect("column_values_to_be_in_set", column="status", value_set="open"), "'open' is not a list"),
        (expect("column_values_to_be_in_set", column="status", value_set=[]), "the list is empty"),
        (expect("column_values_to_be_in_set", column="status", value_set=["a", None]), "null is in the list"),
        (expect("column_values_to_be_in_set", column="status", value_set=["a", False]), "False is a bool"),
        (expect("column_values_to_be_in_set", column="order_id", value_set=[1.5]), "does not fit into int64"),
        (expect("column_values_to_be_in_set", column="total", value_set=[1.005]), "does not fit into decimal"),
        (expect("column_values_to_be_in_set", column="total", value_set=[10**9]), "does not fit into decimal"),
        (expect("column_values_to_match_regex", column="status", regex="("), "not a regular expression"),
        (expect("column_values_to_match_regex", column="status", regex="[[:alpha:]]"), "POSIX class"),
        (expect("column_values_to_match_regex", column="order_id", regex="1"), "column `order_id` is int64"),
        (expect("column_value_lengths_to_equal", column="status", value=-1), "not a whole number"),
        (expect("column_values_to_match_strftime_format", column="status", strftime_format=5), "strftime format"),
        (expect("column_pair_values_to_be_equal", column_A="order_id", column_B="weight"), "cannot compare int64"),
        (
            expect("column_pair_values_to_be_equal", column_A="order_id", column_B="units", ignore_row_if="x"),
            "not one of both",
        ),
        (expect("column_pair_values_to_be_equal", column_A="due", column_B="due"), "names a column twice"),
        (expect("compound_columns_to_be_unique", column_list=["due"], ignore_row_if="x"), "not one of all_values"),
        (expect("column_proportion_of_unique_values_to_be_between", column="due", min_value=50), "not a share"),
        (expect("table_row_count_to_be_between", min_value=0.5), "not a whole number"),
        (expect("table_row_count_to_be_between", "quarantine", windows=[window()]), "may hold or warn"),
        (expect("table_row_count_to_equal", value=1, windows=[window()]), "only the sizes of earlier loads are kept"),
        (expect("table_row_count_to_be_between", windows=[]), "not a list of windows"),
        (expect("table_row_count_to_be_between", windows=["mean"]), "'mean' is not a mapping"),
        (expect("table_row_count_to_be_between", windows=[window(ranges=7)]), "has no setting `ranges`"),
        (expect("table_row_count_to_be_between", windows=[window(constraint_fn="forecast")]), "GX Cloud's own model"),
        (expect("table_row_count_to_be_between", windows=[window(constraint_fn=["mean"])]), "['mean'] is not one of mean"),
        (expect("table_row_count_to_be_between", windows=[window(range=0)]), "`range` 0 is not"),
        (expect("table_row_count_to_be_between", windows=[window(range=61)]), "from 1 to 60"),
        (expect("table_row_count_to_be_between", windows=[window(range=True)]), "`range` True is not"),
        (expect("table_row_count_to_be_between", windows=[window(strict="yes")]), "`strict` 'yes' is neither"),
        (expect("table_row_count_to_be_between", windows=[window(parameter_name=5)]), "`parameter_name` 5 is no text"),
        (expect("table_row_count_to_be_between", windows=[window(offset={"up": 1})]), "`offset` {'up': 1} is not"),
        (expect("table_row_count_to_be_between", windows=[window(offset={"negative": 1.5})]), "`offset.negative`: 1.5 is not a share"),
        (expect("table_row_count_to_be_between", windows=[window(offset={"positive": -1})]), "`offset.positive` -1 is below 0"),
        (expect("table_row_count_to_be_between", windows=[window(offset={"positive": "1"})]), "'1' is a str: write a number"),
        (expect("table_row_count_to_be_between", windows=[window()], min_value=5), "an expectation of its own"),
        (expect("table_row_count_to_be_between", windows=[window()], max_value={"$PARAMETER": "x"}), "parameter_name 'x'"),
        (expect("table_row_count_to_be_between", windows=[window(parameter_name="a")] * 2), "one parameter_name"),
        (expect("table_row_count_to_be_between", windows=[window()], min_value=None, max_value=None), "bounds nothing"),
        (
            expect("table_row_count_to_be_between", windows=[window(parameter_name="a")], min_value={"$PARAMETER": "b"}),
            "window 1: bounds nothing",
        ),
        (
            expect(
                "table_row_count_to_be_between",
                windows=[window(parameter_name="a", offset={"positive": 1})],
                min_value={"$PARAMETER": "a"},
            ),
            "needs `offset.negative`",
        ),
        (expect("table_row_count_to_be_between", windows=[window()], strict_min="yes"), "neither true nor false"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_mistake_is_told_in_words(expectation: Expectation, words: str) -> None:
    assert any(words in problem for problem in problems_of(expectation)), problems_of(expectation)


def test_a_mistake_in_a_window_is_told_without_the_columns_too() -> None:
    (problem,) = check_declaration(expect("table_row_count_to_be_between", windows=[window(range="7")]), {})
    assert problem.argument == "windows"
    assert "`range` '7' is not a whole number" in problem.message


def test_all_problems_are_told_at_once_and_say_which_expectation() -> None:
    twice = expect("column_values_to_be_null", column="due")
    found = problems_of(
        expect("column_values_to_be_between", mostly=2, column="totla", min_value="x", strict_minimum=True),
        expect("column_values_to_be_unique", "quarantine", column="ip"),
        twice,
        twice,
    )
    assert len(found) == 6, found
    assert found[0].startswith("`shop.orders`, expectation 1, `expect_column_values_to_be_between(totla)`: ")
    assert found[-1] == "`shop.orders`, expectation 4, `expect_column_values_to_be_null(due)`: is declared twice"


@pytest.mark.parametrize(
    ("column", "value", "bound"),
    [
        ("order_id", 2**53 + 1, 2**53 + 1),
        ("total", 0.1, Decimal("0.1")),
        ("weight", 0.1, 0.10000000149011612),
        ("ordered_at", date(2020, 1, 1), datetime(2020, 1, 1, tzinfo=UTC)),
        ("ordered_at", "2020-01-01T01:00:00+01:00", datetime(2020, 1, 1, tzinfo=UTC)),
        ("local_at", "2020-01-01", datetime(2020, 1, 1)),
        ("due", "2020-01-01", date(2020, 1, 1)),
        ("opens", "08:30", time(8, 30)),
    ],
)
def test_a_bound_becomes_a_value_of_the_columns_type_without_loss(column: str, value: object, bound: object) -> None:
    rule = RULES["expect_column_values_to_be_between"]
    converted, problems = convert_arguments(rule, {"column": column, "min_value": value}, [COLUMNS[column]])
    assert not problems
    assert converted["min_value"] == bound
    assert type(converted["min_value"]) is type(bound)
