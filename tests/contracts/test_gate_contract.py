"""What every gate promises, and that our table of expectations is still Great Expectations' own."""

import warnings
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError
from pipelines.gates.great_expectations import GreatExpectationsGate
from pipelines.gates.rules import RULES, UNSUPPORTED, Rule
from pipelines.gates.windows import read_windows
from pipelines.sync.protocols import Gate, LandedLoad
from pipelines.sync.spec import Expectation, TableSpec

ROWS = pa.table(
    {
        "id": pa.array([1, 2, 2, None, 40], pa.int64()),
        "other": pa.array([0, 2, 3, 1, 4], pa.int64()),
        "price": pa.array([1.5, 2.5, None, -1.0, 9.25]),
        "text": pa.array(["AB", "2024", None, "ab", "{}"]),
        "at": pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 6)], pa.timestamp("us", "UTC")),
    }
)
# One case per expectation, with values that GX's own models do not round.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("expect_column_values_to_not_be_null", {"column": "id"}),
    ("expect_column_values_to_be_null", {"column": "id"}),
    ("expect_column_values_to_be_in_set", {"column": "text", "value_set": ["AB", "x"]}),
    ("expect_column_values_to_not_be_in_set", {"column": "id", "value_set": [2, 7]}),
    (
        "expect_column_values_to_be_between",
        {"column": "price", "min_value": 1.5, "max_value": 9.25, "strict_max": True},
    ),
    ("expect_column_values_to_be_between", {"column": "at", "min_value": datetime(2024, 1, 3, tzinfo=UTC)}),
    ("expect_column_values_to_match_regex", {"column": "text", "regex": "^[A-Z]+$"}),
    ("expect_column_values_to_not_match_regex", {"column": "text", "regex": "B$"}),
    ("expect_column_values_to_match_regex_list", {"column": "text", "regex_list": ["^A", "B$"], "match_on": "all"}),
    ("expect_column_values_to_not_match_regex_list", {"column": "text", "regex_list": ["a", "0"]}),
    ("expect_column_value_lengths_to_be_between", {"column": "text", "min_value": 2, "strict_min": True}),
    ("expect_column_value_lengths_to_equal", {"column": "text", "value": 2}),
    ("expect_column_values_to_match_strftime_format", {"column": "text", "strftime_format": "%Y"}),
    ("expect_column_values_to_be_json_parseable", {"column": "text"}),
    ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "id", "column_B": "other", "or_equal": True}),
    ("expect_column_pair_values_to_be_equal", {"column_A": "id", "column_B": "other"}),
    ("expect_column_values_to_be_unique", {"column": "id"}),
    ("expect_compound_columns_to_be_unique", {"column_list": ["id", "text"]}),
    ("expect_table_row_count_to_be_between", {"min_value": 5}),
    ("expect_table_row_count_to_equal", {"value": 4}),
    ("expect_column_distinct_values_to_be_in_set", {"column": "id", "value_set": [1, 2, 40, 50]}),
    ("expect_column_distinct_values_to_contain_set", {"column": "id", "value_set": [1, 50]}),
    ("expect_column_distinct_values_to_equal_set", {"column": "id", "value_set": [1, 2, 40]}),
    ("expect_column_unique_value_count_to_be_between", {"column": "id", "max_value": 2}),
    ("expect_column_proportion_of_unique_values_to_be_between", {"column": "id", "min_value": 0.75, "max_value": 0.75}),
    ("expect_column_proportion_of_non_null_values_to_be_between", {"column": "id", "min_value": 0.8}),
    ("expect_column_min_to_be_between", {"column": "price", "min_value": -1, "strict_min": True}),
    ("expect_column_max_to_be_between", {"column": "price", "max_value": 9.25}),
    ("expect_column_mean_to_be_between", {"column": "id", "min_value": 11.25, "max_value": 11.25}),
    ("expect_column_median_to_be_between", {"column": "price", "min_value": 2, "max_value": 2}),
    ("expect_column_stdev_to_be_between", {"column": "id", "min_value": 19.17, "max_value": 19.18}),
    ("expect_column_sum_to_be_between", {"column": "price", "min_value": 12.25, "max_value": 12.25}),
]


WINDOW = {"constraint_fn": "mean", "parameter_name": "rows", "range": 7, "offset": {"negative": 0.5, "positive": 1.0}, "strict": True}


@pytest.fixture(params=[GreatExpectationsGate])
def gate(request: pytest.FixtureRequest) -> Gate:
    """Every gate there is."""
    made: Gate = request.param()
    return made


@pytest.fixture(scope="module")
def gx() -> Any:
    """GX's public interface, as its documentation has it."""
    from pipelines.gates.great_expectations import _load_gx

    _load_gx()  # with GX's own warnings off
    import great_expectations

    return great_expectations


def make_table(*expectations: Expectation) -> TableSpec:
    """Make a table with these expectations."""
    return TableSpec("shop", "public", "orders", "snapshot", expectations=expectations)


def validate(gx: Any, name: str, arguments: dict[str, Any], rows: pa.Table) -> Any:
    """Ask GX's public ``validate()`` on plain pandas."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": rows.to_pandas()})
    made = getattr(gx.expectations, "".join(part.title() for part in name.split("_")))
    result = batch.validate(made(**arguments), result_format="COMPLETE")
    assert not result.exception_info.get("raised_exception"), result.exception_info
    return result


def test_every_supported_expectation_has_a_case() -> None:
    assert {name for name, _ in CASES} == set(RULES)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_where_gx_is_right_its_public_interface_says_the_same(
    gate: Gate, gx: Any, tmp_path: Path, name: str, arguments: dict[str, Any]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = validate(gx, name, arguments, ROWS)
    expectation = Expectation(name, arguments, "quarantine" if RULES[name].gate_class == "row" else "hold")
    if RULES[name].gate_class == "row":
        (row_finding,) = gate.check_rows(make_table(expectation), ROWS)
        missing = result.result.get("missing_count") or 0
        assert row_finding.evaluated == result.result["element_count"] - missing
        assert row_finding.failed == result.result["unexpected_count"]
        assert list(row_finding.failing) == result.result["unexpected_index_list"]
        return
    files = [tmp_path / "chunk-000000.parquet", tmp_path / "chunk-000001.parquet"]
    pq.write_table(ROWS.slice(0, 3), files[0])
    pq.write_table(ROWS.slice(3), files[1])
    (load_finding,) = gate.check_load(make_table(expectation), LandedLoad(files, ROWS.num_rows))
    assert load_finding.passed == result.success


@pytest.mark.parametrize(
    ("rows", "bound", "ours"),
    [
        (pa.array([2**53], pa.int64()), 2**53 + 1, 1),
        (pa.array([Decimal("0.10")], pa.decimal128(10, 2)), Decimal("0.10"), 0),
    ],
    ids=["2^53+1", "Decimal"],
)
def test_gx_still_makes_floats_of_bounds_which_is_why_its_metrics_are_asked(
    gate: Gate, gx: Any, rows: pa.Array, bound: Any, ours: int
) -> None:
    table = pa.table({"a": rows})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = validate(gx, "expect_column_values_to_be_between", {"column": "a", "min_value": bound}, table)
    expectation = Expectation("expect_column_values_to_be_between", {"column": "a", "min_value": bound}, "hold")
    (finding,) = gate.check_rows(make_table(expectation), table)
    assert finding.failed == ours
    assert result.result["unexpected_count"] != ours


def test_every_expectation_of_gx_is_supported_or_says_why_not(gx: Any) -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    known = set(RULES) | set(UNSUPPORTED)
    assert {name for name in list_registered_expectation_implementations() if name.startswith("expect")} <= known
    assert not set(RULES) & set(UNSUPPORTED)


@pytest.mark.parametrize(("name", "rule"), RULES.items(), ids=RULES)
def test_arguments_and_metrics_are_gxs_own(gx: Any, name: str, rule: Rule) -> None:
    from great_expectations.expectations.registry import get_expectation_impl

    theirs = get_expectation_impl(name)
    assert set(rule.arguments) <= set(theirs.__fields__)
    assert rule.takes_mostly == ("mostly" in theirs.__fields__)
    assert {field for field, model in theirs.__fields__.items() if model.required} <= set(rule.columns + rule.required)
    if rule.gate_class == "row":
        assert theirs.map_metric == rule.metric


def test_findings_come_in_the_catalogs_order_and_only_of_the_class_that_was_asked(gate: Gate, tmp_path: Path) -> None:
    expectations = (
        Expectation("expect_column_values_to_be_unique", {"column": "id"}, "hold"),
        Expectation("expect_column_values_to_be_null", {"column": "id"}, "warn"),
        Expectation("expect_table_row_count_to_be_between", {"windows": [WINDOW]}, "warn"),
        Expectation("expect_table_row_count_to_equal", {"value": 5}, "hold"),
        Expectation("expect_column_values_to_not_be_null", {"column": "id"}, "quarantine"),
    )
    file = tmp_path / "chunk-000000.parquet"
    pq.write_table(ROWS, file)
    spec = make_table(*expectations)
    assert [finding.expectation for finding in gate.check_rows(spec, ROWS)] == [expectations[1], expectations[4]]
    assert [finding.expectation for finding in gate.check_load(spec, LandedLoad([file], 5))] == [expectations[0], *expectations[2:4]]


def test_what_cannot_be_evaluated_is_a_config_error_with_every_problem(gate: Gate, tmp_path: Path) -> None:
    expectations = (
        Expectation("expect_column_values_to_be_between", {"column": "text", "min_value": 5}, "hold"),
        Expectation("expect_column_values_to_be_unique", {"column": "idd"}, "hold"),
    )
    file = tmp_path / "chunk-000000.parquet"
    pq.write_table(ROWS, file)
    spec = make_table(*expectations)
    for ask in (lambda: gate.check_rows(spec, ROWS), lambda: gate.check_load(spec, LandedLoad([file], 5))):
        with pytest.raises(ConfigError, match=r"Correct the expectations of `orders` in catalog/shop\.yaml") as raised:
            ask()
        assert len(raised.value.problems) == 2


def test_a_window_in_gxs_full_form_is_one_for_gx_too(gx: Any) -> None:
    bounds = {"min_value": {"$PARAMETER": "rows"}, "max_value": {"$PARAMETER": "rows"}}
    gx.expectations.ExpectTableRowCountToBeBetween(**bounds, windows=[WINDOW])
    windows, problems = read_windows({**bounds, "windows": [WINDOW]})
    assert len(windows) == 1
    assert not problems
    with pytest.raises(ValueError, match="extra fields"):
        gx.expectations.ExpectTableRowCountToBeBetween(windows=[WINDOW | {"further": 1}])


def test_a_table_without_expectations_has_no_findings(gate: Gate) -> None:
    assert not gate.check_rows(make_table(), ROWS)
    assert not gate.check_load(make_table(), LandedLoad([], 0))
