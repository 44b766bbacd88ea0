"""Which of Great Expectations' expectations may guard a landing, of which class each is, and what it takes.

A table, and next to no behaviour. Not here: judging arguments (``classes``), evaluating (``great_expectations``,
``load_measures``). It imports nothing heavy, because the catalog is checked whenever the project loads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

GateClass = Literal["row", "load", "history"]
# Which column types an expectation makes sense of; see ``bounds.is_accepted``.
Accepts = Literal["any", "value", "ordered", "number", "text"]
# What ``min_value`` and ``max_value`` are: values of the column, numbers, whole counts, or shares of 1.
Bounds = Literal["column", "number", "count", "share"]

_RANGE = ("min_value", "max_value", "strict_min", "strict_max")


@dataclass(frozen=True)
class Rule:
    """One expectation as this project takes it.

    ``columns`` are the arguments that name columns. ``metric`` is GX's own metric (row class only; a contract test
    compares it with GX). ``takes_mostly`` says whether a share of rows can be asked for at all. ``gate_class`` is that of
    the expectation without ``windows``.
    """

    gate_class: GateClass
    accepts: Accepts = "any"
    columns: tuple[str, ...] = ("column",)
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    bounds: Bounds | None = None
    metric: str = ""
    takes_mostly: bool = True
    reads_values: bool = True  # False = only NULL or equal matters, so a masked column can be judged too

    @property
    def arguments(self) -> tuple[str, ...]:
        """All arguments that the expectation takes."""
        return self.columns + self.required + self.optional

    @property
    def takes_windows(self) -> bool:
        """Whether its bounds may follow from earlier loads. Of those, only the sizes are kept."""
        return "windows" in self.optional

    def class_with(self, arguments: Mapping[str, Any]) -> GateClass:
        """Return the class of the expectation with these arguments."""
        return "history" if self.takes_windows and "windows" in arguments else self.gate_class


def _text(metric: str, *required: str, optional: tuple[str, ...] = (), bounds: Bounds | None = None) -> Rule:
    return Rule("row", "text", required=required, optional=optional, bounds=bounds, metric=f"column_values.{metric}")


def _pair(metric: str, accepts: Accepts, *optional: str) -> Rule:
    columns, metric = ("column_A", "column_B"), f"column_pair_values.{metric}"
    return Rule("row", accepts, columns, optional=("ignore_row_if", *optional), metric=metric)


def _aggregate(accepts: Accepts, bounds: Bounds, *, reads_values: bool = True) -> Rule:
    return Rule("load", accepts, optional=_RANGE, bounds=bounds, takes_mostly=False, reads_values=reads_values)


def _distinct() -> Rule:
    return Rule("load", "value", required=("value_set",), takes_mostly=False)


RULES: dict[str, Rule] = {
    "expect_column_values_to_not_be_null": Rule("row", metric="column_values.nonnull", reads_values=False),
    "expect_column_values_to_be_null": Rule("row", metric="column_values.null", reads_values=False),
    "expect_column_values_to_be_in_set": Rule("row", "value", required=("value_set",), metric="column_values.in_set"),
    "expect_column_values_to_not_be_in_set": Rule("row", "value", required=("value_set",), metric="column_values.not_in_set"),
    "expect_column_values_to_be_between": Rule("row", "ordered", optional=_RANGE, bounds="column", metric="column_values.between"),
    "expect_column_values_to_match_regex": _text("match_regex", "regex"),
    "expect_column_values_to_not_match_regex": _text("not_match_regex", "regex"),
    "expect_column_values_to_match_regex_list": _text("match_regex_list", "regex_list", optional=("match_on",)),
    "expect_column_values_to_not_match_regex_list": _text("not_match_regex_list", "regex_list"),
    "expect_column_value_lengths_to_be_between": _text("value_length.between", optional=_RANGE, bounds="count"),
    "expect_column_value_lengths_to_equal": _text("value_length.equals", "value"),
    "expect_column_values_to_match_strftime_format": _text("match_strftime_format", "strftime_format"),
    "expect_column_values_to_be_json_parseable": _text("json_parseable"),
    "expect_column_pair_values_a_to_be_greater_than_b": _pair("a_greater_than_b", "ordered", "or_equal"),
    "expect_column_pair_values_to_be_equal": _pair("equal", "value"),
    "expect_column_values_to_be_unique": Rule("load", "value", reads_values=False),
    "expect_compound_columns_to_be_unique": Rule("load", "value", ("column_list",), optional=("ignore_row_if",), reads_values=False),
    "expect_table_row_count_to_be_between": Rule("load", columns=(), optional=(*_RANGE, "windows"), bounds="count", takes_mostly=False),
    "expect_table_row_count_to_equal": Rule("load", columns=(), required=("value",), takes_mostly=False),
    "expect_column_distinct_values_to_be_in_set": _distinct(),
    "expect_column_distinct_values_to_contain_set": _distinct(),
    "expect_column_distinct_values_to_equal_set": _distinct(),
    "expect_column_unique_value_count_to_be_between": _aggregate("value", "count", reads_values=False),
    "expect_column_proportion_of_unique_values_to_be_between": _aggregate("value", "share", reads_values=False),
    "expect_column_proportion_of_non_null_values_to_be_between": _aggregate("any", "share", reads_values=False),
    "expect_column_min_to_be_between": _aggregate("ordered", "column"),
    "expect_column_max_to_be_between": _aggregate("ordered", "column"),
    "expect_column_mean_to_be_between": _aggregate("number", "number"),
    "expect_column_median_to_be_between": _aggregate("number", "number"),
    "expect_column_stdev_to_be_between": _aggregate("number", "number"),
    "expect_column_sum_to_be_between": _aggregate("number", "number"),
}

_ORDER = "rows have no order that survives chunking; write a dbt test over an explicit order"
_SCHEMA = "the table's shape is judged by its `contract`, before any row is read"
_LIKE = "GX cannot evaluate LIKE on landed files; write it as expect_column_values_to_match_regex"
_STATISTICS = "it depends on statistics of all rows and has no exact meaning in bounded memory; write a dbt test"
_ROW_BY_ROW = "GX walks the rows in Python (11-26 CPU s per million rows, measured); write a dbt test"
_OTHER = "tables are read at different instants, so it cannot be judged on landed data; write a dbt test"
_EXACT = "GX sums the columns as they come and can overflow; write a dbt test"

# Every other expectation of GX 1.24, and why it is no gate here; a contract test fails when one is unlisted.
UNSUPPORTED: dict[str, str] = {
    "expect_column_values_to_match_like_pattern": _LIKE,
    "expect_column_values_to_match_like_pattern_list": _LIKE,
    "expect_column_values_to_not_match_like_pattern": _LIKE,
    "expect_column_values_to_not_match_like_pattern_list": _LIKE,
    "expect_column_values_to_be_increasing": _ORDER,
    "expect_column_values_to_be_decreasing": _ORDER,
    "expect_column_values_to_be_of_type": _SCHEMA,
    "expect_column_values_to_be_in_type_list": _SCHEMA,
    "expect_column_type_to_be": _SCHEMA,
    "expect_column_to_exist": _SCHEMA,
    "expect_table_column_count_to_be_between": _SCHEMA,
    "expect_table_column_count_to_equal": _SCHEMA,
    "expect_table_columns_to_match_ordered_list": _SCHEMA,
    "expect_table_columns_to_match_set": _SCHEMA,
    "expect_column_value_z_scores_to_be_less_than": _STATISTICS,
    "expect_column_values_to_not_be_outliers": _STATISTICS,
    "expect_column_kl_divergence_to_be_less_than": _STATISTICS,
    "expect_column_quantile_values_to_be_between": _STATISTICS,
    "expect_column_most_common_value_to_be_in_set": _STATISTICS,
    "expect_column_bootstrapped_ks_test_p_value_to_be_greater_than": _STATISTICS,
    "expect_column_chisquare_test_p_value_to_be_greater_than": _STATISTICS,
    "expect_column_pair_cramers_phi_value_to_be_less_than": _STATISTICS,
    "expect_column_parameterized_distribution_ks_test_p_value_to_be_greater_than": _STATISTICS,
    "expect_column_pair_values_to_be_in_set": _ROW_BY_ROW,
    "expect_select_column_values_to_be_unique_within_record": _ROW_BY_ROW,
    "expect_multicolumn_sum_to_equal": _EXACT,
    "expect_multicolumn_values_to_be_equal": "write one expect_column_pair_values_to_be_equal per pair",
    "expect_multicolumn_values_to_be_unique": "GX replaced it; write expect_compound_columns_to_be_unique",
    "expect_column_values_to_match_json_schema": (
        "GX raises on text that is no JSON instead of failing the row, so one bad row would stop the load; write "
        "expect_column_values_to_be_json_parseable, and a dbt test for the schema"
    ),
    "expect_column_values_to_be_dateutil_parseable": (
        "dateutil guesses, so nearly everything passes; write expect_column_values_to_match_strftime_format"
    ),
    "expect_query_results_to_match_comparison": _OTHER,
    "expect_table_row_count_to_equal_other_table": _OTHER,
    "unexpected_rows_expectation": "free SQL belongs in a dbt test",
}
