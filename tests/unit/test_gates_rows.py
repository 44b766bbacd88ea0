"""Row expectations, judged by the real Great Expectations: values, NULLs, positions, memory, threads, and mistakes."""

import functools
import gc
import logging
import subprocess
import sys
import tracemalloc
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipelines.errors import ConfigError
from pipelines.gates import great_expectations as gates
from pipelines.gates.backtracking import may_backtrack, try_regexes
from pipelines.gates.great_expectations import GreatExpectationsGate
from pipelines.sync.protocols import RowFinding
from pipelines.sync.spec import Expectation, OnFailure, TableSpec

INSTANTS = [datetime(2024, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC), None, datetime(1, 1, 1, tzinfo=UTC)]
ROWS = pa.table(
    {
        "id": pa.array([2**53, 2**53 + 1, None, 5], pa.int64()),
        "big": pa.array([2**64 - 1, 1, None, 5], pa.uint64()),
        "price": pa.array([Decimal("0.10"), Decimal("12345678901234567.89"), None, Decimal(5)], pa.decimal128(20, 2)),
        "ratio": pa.array([0.1, float("nan"), None, 5.0], pa.float64()),
        "small": pa.array([0.1, 0.2, None, 5.0], pa.float32()),
        "at": pa.array(INSTANTS, pa.timestamp("us", "UTC")),
        "local": pa.array([at and at.replace(tzinfo=None) for at in INSTANTS], pa.timestamp("us")),
        "nanos": pa.array([1, 2, None, 3], pa.timestamp("ns", "UTC")),
        "day": pa.array([at and at.date() for at in INSTANTS], pa.date32()),
        "clock": pa.array([time(1), time(2), None, time(3)], pa.time64("us")),
        "text": pa.array(["AB", "ab", None, "é"]),
        "large": pa.array(["AB", "ab", None, "é"], pa.large_string()),
        "view": pa.array(["AB", "ab", None, "é"], pa.string_view()),
        "coded": pa.array(["AB", "ab", None, "é"]).dictionary_encode(),
        "flag": pa.array([True, False, None, True]),
        "blob": pa.array([b"AB", b"\xff", None, b"x"]),
        "list": pa.array([[1], [2], None, [3]]),
        "none": pa.nulls(4),
        "no_price": pa.nulls(4, pa.decimal128(10, 2)),
        "no_at": pa.nulls(4, pa.timestamp("us", "UTC")),
    }
)


def find(rows: pa.Table, name: str, /, **arguments: Any) -> RowFinding:
    """Judge one expectation whose failing rows are to step aside."""
    expectation = Expectation(f"expect_{name}", arguments, "quarantine")
    spec = TableSpec("shop", "public", "orders", "snapshot", expectations=(expectation,))
    (finding,) = GreatExpectationsGate().check_rows(spec, rows)
    assert finding.expectation is expectation
    assert finding.failed == len(finding.failing)
    return finding


@pytest.mark.parametrize("column", ROWS.column_names)
def test_null_is_null_in_every_type_and_nothing_else_is(column: str) -> None:
    nulls = tuple(position for position, value in enumerate(ROWS[column]) if not value.is_valid)
    found = find(ROWS, "column_values_to_not_be_null", column=column)
    assert (found.evaluated, found.failing) == (4, nulls)
    found = find(ROWS, "column_values_to_be_null", column=column)
    assert (found.evaluated, found.failing) == (4, tuple({0, 1, 2, 3} - set(nulls)))


@pytest.mark.parametrize(
    ("column", "arguments", "failing"),
    [
        ("id", {"min_value": 2**53 + 1}, (0, 3)),
        ("id", {"max_value": 2**53}, (1,)),
        ("id", {"min_value": 5.5}, (3,)),
        ("big", {"max_value": 2**64 - 2}, (0,)),
        ("price", {"min_value": 0.1}, ()),
        ("price", {"min_value": 0.1, "strict_min": True}, (0,)),
        ("price", {"max_value": Decimal("12345678901234567.88")}, (1,)),
        ("ratio", {"min_value": 0}, (1,)),  # NaN is a value, and in no range
        ("ratio", {"max_value": 0.1}, (1, 3)),
        ("small", {"max_value": 0.2}, (3,)),
        ("at", {"min_value": "2024-01-01"}, (3,)),
        ("at", {"min_value": date(2024, 1, 1), "strict_min": True}, (0, 3)),
        ("at", {"max_value": "2024-01-01T01:00:00+01:00"}, (1,)),
        ("local", {"min_value": datetime(2024, 1, 1)}, (3,)),
        ("nanos", {"min_value": "1970-01-02"}, (0, 1, 3)),
        ("day", {"min_value": "2024-01-01", "max_value": "2024-01-01", "strict_max": True}, (0, 1, 3)),
        ("clock", {"min_value": "02:00"}, (0,)),
        ("text", {"min_value": "a"}, (0,)),
        ("coded", {"min_value": "a"}, (0,)),
        ("no_price", {"min_value": 0}, ()),
        ("no_at", {"min_value": "2024-01-01"}, ()),
    ],
)
def test_between_compares_exact_values(column: str, arguments: dict[str, Any], failing: tuple[int, ...]) -> None:
    found = find(ROWS, "column_values_to_be_between", column=column, **arguments)
    assert found.failing == failing
    assert found.evaluated == 4 - ROWS[column].null_count


@pytest.mark.parametrize(
    ("column", "value_set", "inside"),
    [
        ("id", [2**53], (0,)),
        ("id", [float(2**53), 5], (0, 3)),
        ("big", [2**64 - 1], (0,)),
        ("price", [0.1, 5], (0, 3)),
        ("price", [Decimal("12345678901234567.89")], (1,)),
        ("ratio", [0.1, float("nan")], (0, 1)),
        ("small", [0.1], (0,)),
        ("at", ["2024-01-01", "9999-12-31T00:00Z"], (0, 1)),
        ("local", [datetime(1, 1, 1)], (3,)),
        ("day", [date(1, 1, 1)], (3,)),
        ("clock", ["02:00"], (1,)),
        ("text", ["AB", "é"], (0, 3)),
        ("large", ["AB"], (0,)),
        ("view", ["AB"], (0,)),
        ("coded", ["AB"], (0,)),
        ("flag", [True], (0, 3)),
        ("blob", [b"\xff"], (1,)),
        ("no_price", [1], ()),
        ("no_at", ["2024-01-01"], ()),
    ],
)
def test_sets_hold_exact_values(column: str, value_set: list[Any], inside: tuple[int, ...]) -> None:
    judged = {position for position, value in enumerate(ROWS[column]) if value.is_valid}
    found = find(ROWS, "column_values_to_be_in_set", column=column, value_set=value_set)
    assert found.failing == tuple(sorted(judged - set(inside)))
    found = find(ROWS, "column_values_to_not_be_in_set", column=column, value_set=value_set)
    assert found.failing == inside
    assert found.evaluated == len(judged)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()], ids=str)
@pytest.mark.parametrize(
    ("name", "arguments", "failing"),
    [
        ("column_values_to_match_regex", {"regex": "^[A-Z]{2}$"}, (1, 3, 4)),
        ("column_values_to_match_regex", {"regex": "^(AB|(?P<low>ab))$"}, (3, 4)),
        ("column_values_to_match_regex", {"regex": "(?<=a)b"}, (0, 3, 4)),
        ("column_values_to_match_regex", {"regex": r"^\w+$"}, (4,)),
        ("column_values_to_not_match_regex", {"regex": "b"}, (1,)),
        ("column_values_to_match_regex_list", {"regex_list": ["A", "(a)"]}, (3, 4)),
        ("column_values_to_match_regex_list", {"regex_list": ["A", "B"], "match_on": "all"}, (1, 3, 4)),
        ("column_values_to_not_match_regex_list", {"regex_list": ["A", "a"]}, (0, 1)),
        ("column_value_lengths_to_be_between", {"min_value": 2}, (3,)),
        ("column_value_lengths_to_be_between", {"max_value": 2, "strict_max": True}, (0, 1, 4)),
        ("column_value_lengths_to_equal", {"value": 1}, (0, 1, 4)),
        ("column_values_to_match_strftime_format", {"strftime_format": "%Y"}, (0, 1, 3, 4)),
        ("column_values_to_be_json_parseable", {}, (0, 1, 3, 4)),
    ],
)
def test_text_is_matched_as_python_does(kind: pa.DataType, name: str, arguments: dict[str, Any], failing: tuple[int, ...]) -> None:
    rows = pa.table({"text": pa.array(["AB", "ab", None, "é", "? "], kind)})
    found = find(rows, name, column="text", **arguments)
    assert (found.evaluated, found.failing) == (4, failing)


@pytest.mark.parametrize(
    ("ignore_row_if", "evaluated", "failing"),
    [("both_values_are_missing", 4, (1, 2, 4)), ("either_value_is_missing", 2, (1,)), ("neither", 5, (1, 2, 3, 4))],
)
@pytest.mark.parametrize("kind", [pa.int64(), pa.timestamp("us"), pa.decimal128(20, 0), pa.string()], ids=str)
def test_a_pair_with_one_null_is_unexpected_unless_it_is_ignored(
    kind: pa.DataType, ignore_row_if: str, evaluated: int, failing: tuple[int, ...]
) -> None:
    first = pa.array([2**53 + 1, 1, None, None, 3], pa.int64()).cast(kind)
    second = pa.array([2**53, 1, 1, None, None], pa.int64()).cast(kind)
    pair = {"column_A": "first", "column_B": "second", "ignore_row_if": ignore_row_if}
    rows = pa.table({"first": first, "second": second})
    found = find(rows, "column_pair_values_a_to_be_greater_than_b", **pair)
    assert (found.evaluated, found.failing) == (evaluated, failing)
    found = find(rows, "column_pair_values_a_to_be_greater_than_b", or_equal=True, **pair)
    assert found.failing == tuple(position for position in failing if position != 1)
    found = find(rows, "column_pair_values_to_be_equal", **pair)
    assert found.failing == (0, *(position for position in failing if position != 1))


def test_positions_are_those_of_the_chunk_across_slices_and_equal_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "_SLICE_ROWS", 7)
    values = [position % 3 - 1 if position % 5 else None for position in range(100)]
    chunked = pa.chunked_array([values[:30], values[30:31], [], values[31:]], pa.int64())
    expected = tuple(position for position, value in enumerate(values) if value is not None and value < 0)
    found = find(pa.table({"a": chunked}), "column_values_to_be_between", column="a", min_value=0)
    assert (found.evaluated, found.failing) == (80, expected)


def test_a_pandas_index_in_the_files_metadata_does_not_move_positions() -> None:
    metadata = pa.table({"a": [5, 6]}).to_pandas().set_index("a", drop=False)
    rows = pa.Table.from_pandas(metadata)
    assert find(rows.select(["a"]), "column_values_to_be_in_set", column="a", value_set=[5]).failing == (1,)


def test_only_rows_that_are_to_step_aside_are_named() -> None:
    names = ("hold", "warn", "quarantine")
    expectations = tuple(
        Expectation("expect_column_values_to_be_between", {"column": "id", "min_value": 6}, on_failure, 0.1) for on_failure in names
    )
    spec = TableSpec("shop", "public", "orders", "snapshot", expectations=expectations)
    found = GreatExpectationsGate().check_rows(spec, ROWS)
    assert [finding.failing for finding in found] == [(), (), (3,)]
    assert {(finding.evaluated, finding.failed) for finding in found} == {(3, 1)}


@pytest.mark.parametrize("on_failure", ["quarantine", "hold", "warn"])
def test_the_first_failing_rows_are_named_by_their_keys_and_by_nothing_else(monkeypatch: pytest.MonkeyPatch, on_failure: OnFailure) -> None:
    monkeypatch.setattr(gates, "_SLICE_ROWS", 2)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    rows = pa.table(
        {
            "id": pa.array([1, 2, 3, 4, 5]),
            "code": pa.array(["a" * 100, None, "b, c", "d", "e"]).dictionary_encode(),
            "blob": pa.array([b"\xff", b"a", b"b", b"c", b"d"]),
            "at": pa.array([at] * 5, pa.timestamp("us", "UTC")),
            "secret": pa.array([-7001, 7002, -7003, -7004, -7005]),
        }
    )
    expectation = Expectation("expect_column_values_to_be_between", {"column": "secret", "min_value": 0}, on_failure)

    def name(*key: str) -> tuple[str, ...]:
        spec = TableSpec("shop", "public", "orders", "snapshot", key, expectations=(expectation,))
        (finding,) = GreatExpectationsGate().check_rows(spec, rows)
        assert finding.failed == 4
        return finding.examples

    assert name("id") == ("1", "3", "4")
    assert name("id", "code") == (f"1, {'a' * 64}…", "3, b, c", "4, d")
    assert name("blob") == ("ff", "62", "63")
    assert name("at")[0] == "2026-01-02 03:04:05+00:00"
    assert name() == name("not_there") == ()


def test_two_bounds_that_are_one_float_are_two_expectations() -> None:
    expectations = tuple(
        Expectation("expect_column_values_to_be_between", {"column": "id", "min_value": bound}, "quarantine")
        for bound in (2**53, 2**53 + 1)
    )
    spec = TableSpec("shop", "public", "orders", "snapshot", expectations=expectations)
    assert [finding.failing for finding in GreatExpectationsGate().check_rows(spec, ROWS)] == [(3,), (0, 3)]


def test_a_pattern_that_would_never_end_is_a_mistake_in_the_catalog_and_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "try_regexes", functools.partial(try_regexes, cpu_seconds=1))
    endless, split = "é" + "a" * 60 + "!", r"^é(\w+\s?)+$"
    with pytest.raises(ConfigError, match="was given up after 1 CPU seconds, because it tries every way to split a value"):
        find(pa.table({"a": ["ok", endless]}), "column_values_to_match_regex", column="a", regex=split)
    assert find(pa.table({"a": ["éok ok", None, "no"]}), "column_values_to_match_regex", column="a", regex=split).failing == (2,)
    coded = pa.table({"a": pa.array([endless, None]).dictionary_encode()})
    with pytest.raises(ConfigError, match="given up"):
        find(coded, "column_values_to_not_match_regex_list", column="a", regex_list=["b", r"^(?=é)(a|é|aa)+$"])


@pytest.mark.parametrize(
    ("regex", "is_doubtful"),
    [
        (r"^(\w+\s?)+$", True),
        (r"^(a|aa)+$", True),
        (r"(?=(x(a*)*)y)", True),
        (r"(?:(?P<n>a{2,3})b)*", True),
        (r"((ab)?c){2,}", True),
        (r"(a(b)?(?(2)c+|d))*", True),
        (r"^[A-Z]{2}\d+(\.\d{2})?$", False),
        (r"^(open|paid|shipped)$", False),
        (r"^[^@\s]+@[^@\s]+\.[a-z]+$", False),
        (r"(ab){3}(?:a{2}b){5}", False),
    ],
)
def test_only_a_choice_inside_a_repetition_is_doubtful(regex: str, is_doubtful: bool) -> None:
    assert may_backtrack(regex) is is_doubtful


def test_a_chunk_without_rows_evaluates_nothing() -> None:
    assert find(ROWS.slice(0, 0), "column_values_to_be_between", column="id", min_value=0).evaluated == 0


def test_a_misspelt_column_is_a_mistake_in_the_catalog_and_no_verdict() -> None:
    with pytest.raises(ConfigError, match=r"there is no column `iid`; did you mean `id`\?") as raised:
        find(ROWS, "column_values_to_not_be_null", column="iid")
    assert len(raised.value.problems) == 1


def test_what_gx_cannot_evaluate_is_a_mistake_in_the_catalog_and_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates, "check_expectations", lambda *_: [])  # as if our own check had not seen it
    monkeypatch.setattr(gates, "convert_arguments", lambda *_: ({"column": "text", "min_value": 5}, []))
    words = r"`shop.orders`, `expect_column_values_to_be_between\(text\)`: GX cannot evaluate it: .*same type"
    with pytest.raises(ConfigError, match=words):
        find(ROWS, "column_values_to_be_between", column="text", min_value=5)


def test_columns_that_no_expectation_names_cost_nothing_and_slices_bound_the_rest() -> None:
    # 1,000,000 integers as Python objects are about 32 MB at once; the wide column alone is 100 MB.
    rows = pa.table({"id": pa.array(range(1_000_000)), "wide": pa.repeat("x" * 100, 1_000_000)})
    find(rows.slice(0, 10), "column_values_to_be_between", column="id", min_value=0)
    before = pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        assert find(rows, "column_values_to_be_between", column="id", min_value=0).evaluated == 1_000_000
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20e6, peak
    assert pa.total_allocated_bytes() - before < 1e6


def test_no_frame_outlives_its_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[Any]] = []
    make_series = gates._make_series

    def make_and_remember(values: Any) -> Any:
        series = make_series(values)
        seen.append(weakref.ref(series.array))
        return series

    monkeypatch.setattr(gates, "_make_series", make_and_remember)
    gc.disable()
    try:
        find(ROWS, "column_values_to_be_between", column="id", min_value=0)
        assert [reference() for reference in seen] == [None] * len(seen)
    finally:
        gc.enable()


def test_threads_do_not_judge_each_others_chunks() -> None:
    def count_failures(limit: int) -> int:
        rows = pa.table({"a": pa.array(range(2_000))})
        return find(rows, "column_values_to_be_between", column="a", min_value=limit).failed

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(count_failures, range(40))) == list(range(40))


def test_importing_gx_leaves_telemetry_progress_bars_and_captured_warnings_off() -> None:
    code = """
import logging, os, sys, warnings
warnings.simplefilter("error")
shows_warning = warnings.showwarning
import pyarrow as pa
from pipelines.gates.great_expectations import GreatExpectationsGate
from pipelines.sync.spec import Expectation, OnFailure, TableSpec
expectation = Expectation("expect_column_values_to_match_regex", {"column": "a", "regex": "(a)"}, "quarantine")
spec = TableSpec("shop", "public", "orders", "snapshot", expectations=(expectation,))
print(GreatExpectationsGate().check_rows(spec, pa.table({"a": ["a", "b"]}))[0].failing)
assert os.environ["GX_ANALYTICS_ENABLED"] == "false"
assert warnings.showwarning is shows_warning
assert not logging.getLogger("py.warnings").handlers
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(1,)\n", "")


def test_a_regex_with_groups_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find(ROWS, "column_values_to_match_regex", column="text", regex="^(A)(B)$").failing == (1, 3)
    assert logging.getLogger("py.warnings").handlers == []
