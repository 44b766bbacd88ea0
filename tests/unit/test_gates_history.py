"""A load's size beside those of earlier loads: exact bounds, off until there are enough, each day by the days before it."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from pipelines.errors import ConfigError
from pipelines.gates.great_expectations import GreatExpectationsGate
from pipelines.sync.model import Verdict
from pipelines.sync.protocols import LandedLoad, LoadSize
from pipelines.sync.spec import Expectation, TableSpec

FIRST = date(2026, 3, 1)


def loads(*rows: int) -> list[LoadSize]:
    """Sizes of loads, oldest first."""
    return [LoadSize(None, count) for count in rows]


def days(*rows: int | None, first: date = FIRST) -> list[LoadSize]:
    """Sizes of consecutive days; None leaves one out."""
    return [LoadSize(first + timedelta(place), count) for place, count in enumerate(rows) if count is not None]


def judge(past: Sequence[LoadSize], sizes: Sequence[LoadSize], count: int = 3, /, **window: Any) -> Verdict:
    """Judge a load by one window in the short form: between half and double of the mean, unless told otherwise."""
    window = {"constraint_fn": "mean", "range": count, "offset": {"negative": 0.5, "positive": 1}} | window
    return judge_by({"windows": [window]}, past, sizes)


def judge_by(arguments: dict[str, Any], past: Sequence[LoadSize], sizes: Sequence[LoadSize]) -> Verdict:
    """Judge a load by one expectation."""
    expectation = Expectation("expect_table_row_count_to_be_between", arguments, "hold")
    spec = TableSpec("shop", "public", "orders", "snapshot", expectations=(expectation,))
    gate = GreatExpectationsGate()
    (verdict,) = gate.judge(spec, [], gate.check_load(spec, LandedLoad([], sum(size.rows for size in sizes), sizes, past)))
    json.dumps(verdict.numbers)
    return verdict


@pytest.mark.parametrize(("rows", "passed"), [(49, False), (50, True), (200, True), (201, False)])
def test_a_load_is_judged_by_the_statistic_of_the_loads_before_it(rows: int, passed: bool) -> None:
    verdict = judge(loads(1_000_000, 90, 100, 110), loads(rows))
    assert verdict.passed is passed
    assert verdict.numbers == {"rows": rows, "at least": 50, "at most": 200, "mean of 3 past loads": 100}


@pytest.mark.parametrize(
    ("constraint", "statistic", "fewest", "most"),
    [("mean", 40, 20, 80), ("median", 15, 8, 30), ("min", 10, 5, 20), ("max", 120, 60, 240)],
)
def test_each_statistic_is_that_of_the_window(constraint: str, statistic: int, fewest: int, most: int) -> None:
    verdict = judge(loads(0, 10, 20, 10, 120), loads(60), 4, constraint_fn=constraint)
    assert verdict.numbers == {"rows": 60, "at least": fewest, "at most": most, f"{constraint} of 4 past loads": statistic}


@pytest.mark.parametrize(
    ("arguments", "fewest", "most"),
    [({}, 50, 200), ({"strict": True}, 51, 199), ({"offset": {"negative": 0.1, "positive": 0.1}}, 90, 110)],
)
def test_a_strict_window_leaves_its_bounds_out_and_shares_are_exact(arguments: dict[str, Any], fewest: int, most: int) -> None:
    # In floats, 100 * (1 + 0.1) is 110.00000000000001, and 1 - 0.9 of it is above 10.
    for rows, passed in ((fewest, True), (fewest - 1, False), (most, True), (most + 1, False)):
        assert judge(loads(100, 100, 100), loads(rows), **arguments).passed is passed, rows


def test_a_size_beyond_floats_is_exact() -> None:
    huge = 2**53 + 1
    assert judge(loads(huge, huge), loads(huge), 2, offset={"negative": 0, "positive": 0}).passed
    assert not judge(loads(huge, huge), loads(huge - 1), 2, offset={"negative": 0}).passed


def test_a_mean_that_is_no_whole_number_bounds_whole_rows() -> None:
    assert judge(loads(1, 1, 2), loads(1), offset={"negative": 0}).numbers == {"rows": 1, "at least": 2, "mean of 3 past loads": 1.33}


def test_with_too_few_earlier_loads_it_passes_and_says_so() -> None:
    verdict = judge(loads(100, 100), loads(0))
    assert verdict.passed
    assert verdict.numbers == {"past loads": "2 of 3"}
    assert judge([], loads(5)).numbers == {"past loads": "0 of 3"}


def test_an_offset_on_one_side_leaves_the_other_open() -> None:
    assert judge(loads(100, 100, 100), loads(10**9), offset={"negative": 0.5}).passed
    assert judge(loads(100, 100, 100), loads(0), offset={"positive": 0.5}).passed


def test_gxs_full_form_gives_each_bound_a_window_of_its_own() -> None:
    arguments = {
        "min_value": {"$PARAMETER": "low"},
        "max_value": {"$PARAMETER": "high"},
        "strict_max": True,
        "windows": [
            {"constraint_fn": "min", "parameter_name": "low", "range": 2, "offset": {"negative": 0.5, "positive": 9}},
            {"constraint_fn": "max", "parameter_name": "high", "range": 3, "offset": {"negative": 0.9, "positive": 1}},
        ],
    }
    past = loads(300, 100, 200)
    assert [rows for rows in (49, 50, 599, 600) if judge_by(arguments, past, loads(rows)).passed] == [50, 599]
    assert judge_by(arguments, past, loads(49)).numbers == {"rows": 49, "at least": 50, "min of 2 past loads": 100}
    only_low = {name: value for name, value in arguments.items() if name != "max_value"} | {"windows": arguments["windows"][:1]}  # type: ignore[index]
    assert judge_by(only_low, past, loads(10**6)).passed


def test_each_day_is_judged_by_the_days_before_it_and_the_worst_is_named() -> None:
    past = days(100, 100, 100)
    verdict = judge(past, days(90, 30, 5, first=FIRST + timedelta(3)))
    assert not verdict.passed
    # The mean of 100, 90 and 30 is 73.33: the days of the load are past for those after them.
    assert verdict.numbers == {
        "day": "2026-03-06",
        "rows": 5,
        "at least": 37,
        "at most": 146,
        "mean of 3 past days": 73.33,
        "days judged": 3,
        "days outside": 2,
    }


def test_a_day_that_is_replaced_is_judged_by_the_days_before_it_and_never_by_itself_or_later_ones() -> None:
    past = days(10, 10, 10, 10, 5_000, 5_000, 5_000)
    replaced = [LoadSize(FIRST + timedelta(3), 12)]
    assert judge(past, replaced).numbers["mean of 3 past days"] == 10
    assert judge(past, [LoadSize(FIRST + timedelta(3), 4_000)]).passed is False


def test_days_without_enough_days_before_them_are_left_out() -> None:
    verdict = judge([], days(1, 1_000, 500, 500))
    assert verdict.passed
    assert (verdict.numbers["day"], verdict.numbers["days judged"]) == ("2026-03-04", 1)
    assert judge([], days(1, 1_000)).numbers == {"past days": "1 of 3"}


def test_a_load_without_days_has_nothing_to_compare() -> None:
    assert judge(days(1, 2, 3), []).passed


def test_a_window_that_cannot_be_read_is_a_mistake_in_the_catalog_and_no_verdict() -> None:
    with pytest.raises(ConfigError, match=r"`range` -1 is not a whole number") as raised:
        judge(loads(1), loads(1), -1, constraint_fn="mode")
    assert len(raised.value.problems) == 2


def test_a_name_tells_windows_apart() -> None:
    from pipelines.gates.judge import name_checks

    window = {"constraint_fn": "mean", "range": 7, "offset": {"negative": 0.5}}
    both: list[dict[str, Any]] = [{"min_value": 1}, {"windows": [window, window | {"constraint_fn": "max", "range": 2}]}]
    name = "expect_table_row_count_to_be_between"
    expectations = tuple(Expectation(name, arguments, "warn") for arguments in both)
    spec = TableSpec("shop", "public", "orders", "snapshot", expectations=expectations)
    assert name_checks(spec) == (f"{name}[min_value=1, on_failure=warn]", f"{name}[windows=mean of 7 and max of 2, on_failure=warn]")
