"""Verdicts come from sums over the load, one per expectation, whatever the chunks looked like."""

import json
from datetime import date
from typing import Any

import pytest

from pipelines.gates.judge import is_share_met, judge, name_checks
from pipelines.sync.protocols import LoadFinding, RowFinding
from pipelines.sync.spec import Expectation, OnFailure, TableSpec


def between(low: int, mostly: float = 1.0, on_failure: OnFailure = "hold") -> Expectation:
    """Make an expectation on the column ``total``."""
    return Expectation("expect_column_values_to_be_between", {"column": "total", "min_value": low}, on_failure, mostly)


def table(*expectations: Expectation) -> TableSpec:
    """Make a table with these expectations."""
    return TableSpec("shop", "public", "orders", "snapshot", expectations=expectations)


@pytest.mark.parametrize(("mostly", "passed"), [(0.95, True), (0.951, False), (1.0, False)])
def test_mostly_is_judged_on_the_sum_of_the_chunks_and_not_on_any_of_them(mostly: float, passed: bool) -> None:
    expectation = between(0, mostly)
    chunks = [RowFinding(expectation, 500, 50), RowFinding(expectation, 499, 0), RowFinding(expectation, 1, 0)]
    (verdict,) = judge(table(expectation), chunks, [])
    assert verdict.passed is passed
    assert verdict.subject == "shop.orders"
    assert verdict.numbers == {"evaluated": 1_000, "failed": 50, "share": 0.05, "mostly": mostly}


@pytest.mark.parametrize(("evaluated", "failed", "mostly"), [(10, 3, 0.7), (100, 45, 0.55), (1_000, 1, 0.999), (3, 0, 1.0), (0, 0, 1.0)])
def test_a_share_that_is_exactly_met_passes(evaluated: int, failed: int, mostly: float) -> None:
    assert is_share_met(evaluated, failed, mostly)
    assert not is_share_met(evaluated + 1, failed + 1, mostly)


def test_a_verdict_names_at_most_three_failing_rows_of_all_chunks() -> None:
    expectation = between(0)
    chunks = [RowFinding(expectation, 9, 2, examples=("7", "8")), RowFinding(expectation, 9, 3, examples=("8", "9", "10"))]
    (verdict,) = judge(table(expectation), chunks, [])
    assert verdict.numbers["examples"] == ["7", "8", "9"]
    json.dumps(verdict.numbers)


def test_rows_that_were_read_again_have_verdicts_on_rows_only() -> None:
    load = Expectation("expect_column_values_to_be_unique", {"column": "a"}, "hold")
    history = Expectation("expect_table_row_count_to_be_between", {"windows": [{}]}, "hold")
    verdicts = judge(table(load, between(0), history), [RowFinding(between(0), 2, 1)], None)
    assert [(verdict.check, verdict.passed) for verdict in verdicts] == [("expect_column_values_to_be_between(total)", False)]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"min_value": 5, "max_value": 9}, {"at least": 5, "at most": 9}),
        ({"min_value": 5, "strict_min": True}, {"more than": 5}),
        ({"max_value": date(2026, 1, 2), "strict_max": True}, {"less than": "2026-01-02"}),
    ],
)
def test_a_number_stands_beside_what_was_asked_of_it(arguments: dict[str, Any], told: dict[str, Any]) -> None:
    expectation = Expectation("expect_column_max_to_be_between", {"column": "a", **arguments}, "warn")
    (verdict,) = judge(table(expectation), [], [LoadFinding(expectation, False, 3)])
    assert verdict.numbers == {"observed": 3, **told}
    json.dumps(verdict.numbers)


def test_two_expectations_with_one_name_and_column_are_two_verdicts() -> None:
    low, high, same = between(0), between(10), between(10, 0.5, "warn")
    spec = table(low, high, same)
    copies = [between(10), between(0), between(10, 0.5, "warn")]  # as they come back after a crash: equal, not the same
    found = [RowFinding(copies[0], 10, 4), RowFinding(copies[1], 10, 0), RowFinding(copies[2], 10, 4)] * 2
    verdicts = judge(spec, found, [])
    assert [(verdict.passed, verdict.numbers["failed"]) for verdict in verdicts] == [(True, 0), (False, 8), (True, 8)]
    name = "expect_column_values_to_be_between(total)"
    assert [verdict.check for verdict in verdicts] == [
        f"{name}[min_value=0, on_failure=hold]",
        f"{name}[min_value=10, on_failure=hold]",
        f"{name}[min_value=10, mostly=0.5, on_failure=warn]",
    ]


def test_a_name_is_just_the_label_where_that_is_enough() -> None:
    assert name_checks(table(between(0))) == ("expect_column_values_to_be_between(total)",)


@pytest.mark.parametrize(
    ("observed", "numbers"),
    [
        ({"evaluated": 4, "failed": 2}, {"evaluated": 4, "failed": 2, "share": 0.5, "mostly": 1.0}),
        ({"unexpected": 1, "missing": 0}, {"unexpected": 1, "missing": 0}),
        ("0.10", {"observed": "0.10"}),
        (None, {"observed": None}),
    ],
)
def test_a_load_finding_keeps_its_numbers(observed: Any, numbers: dict[str, Any]) -> None:
    expectation = Expectation("expect_column_values_to_be_unique", {"column": "a"}, "warn")
    (verdict,) = judge(table(expectation), [], [LoadFinding(expectation, False, observed)])
    assert (verdict.passed, verdict.on_failure, verdict.numbers) == (False, "warn", numbers)
    json.dumps(verdict.numbers)


def test_a_load_without_rows_passes_its_row_expectations() -> None:
    (verdict,) = judge(table(between(0)), [], [])
    assert verdict.passed
    assert verdict.numbers["evaluated"] == 0


def test_a_load_expectation_that_nobody_evaluated_does_not_pass() -> None:
    expectation = Expectation("expect_column_values_to_be_unique", {"column": "a"}, "hold")
    with pytest.raises(ValueError, match="was not evaluated on the load"):
        judge(table(expectation), [], [])


def test_a_finding_of_another_table_is_refused() -> None:
    with pytest.raises(ValueError, match="for expectations that it does not have"):
        judge(table(between(0)), [RowFinding(between(1), 1, 0)], [])
