"""Load expectations over landed files: across chunks, with GX's NULLs and bounds, in bounded memory."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import ConfigError, LandingCorrupt
from pipelines.gates.great_expectations import GreatExpectationsGate
from pipelines.sync.protocols import LandedLoad, LoadFinding
from pipelines.sync.spec import Expectation, Mode, TableSpec

DECIMAL = pa.decimal128(20, 2)


def land(folder: Path, *chunks: pa.Table) -> list[Path]:
    """Write the chunks as the landing does: one numbered file each, in a folder that looks like a partition."""
    home = folder / "load_id=01J'X"
    home.mkdir(exist_ok=True)
    files = [home / f"chunk-{number:06d}.parquet" for number in range(len(chunks))]
    for file, chunk in zip(files, chunks, strict=True):
        pq.write_table(chunk, file)
    return files


def find(files: Sequence[Path], name: str, /, *, mode: Mode = "snapshot", mostly: float = 1.0, **arguments: Any) -> LoadFinding:
    """Judge one expectation of a load of 1,000 rows whose key is ``id``."""
    expectation = Expectation(f"expect_{name}", arguments, "hold", mostly)
    spec = TableSpec("shop", "public", "orders", mode, key=("id",), expectations=(expectation,))
    (finding,) = GreatExpectationsGate().check_load(spec, LandedLoad(files, 1_000))
    assert finding.expectation is expectation
    return finding


@pytest.mark.parametrize(
    ("chunks", "failed", "evaluated"),
    [
        ([[1, 2], [3, None], [None]], 0, 3),
        ([[1, 2], [3, 1]], 2, 4),
        ([[2**53, 2**53 + 1]], 0, 2),
        ([[None, None]], 0, 0),
    ],
)
def test_uniqueness_holds_across_chunks_and_leaves_nulls_out(
    tmp_path: Path, chunks: list[list[int | None]], failed: int, evaluated: int
) -> None:
    files = land(tmp_path, *(pa.table({"filename": pa.array(chunk, pa.int64())}) for chunk in chunks))
    found = find(files, "column_values_to_be_unique", column="filename")
    assert (found.passed, found.observed) == (failed == 0, {"evaluated": evaluated, "failed": failed})


def test_mostly_is_a_share_of_the_load(tmp_path: Path) -> None:
    files = land(tmp_path, pa.table({"a": range(95)}), pa.table({"a": [200] * 5}))
    assert find(files, "column_values_to_be_unique", mostly=0.95, column="a").passed
    assert not find(files, "column_values_to_be_unique", mostly=0.96, column="a").passed


@pytest.mark.parametrize(
    ("ignore_row_if", "evaluated", "failed"),
    [(None, 5, 4), ("all_values_are_missing", 5, 4), ("any_value_is_missing", 3, 2), ("never", 7, 6)],
)
def test_compound_uniqueness_takes_null_for_equal_where_it_judges_it(
    tmp_path: Path, ignore_row_if: str | None, evaluated: int, failed: int
) -> None:
    first = pa.table({"a": [1, 1, None], "b": [1, 2, None]})
    second = pa.table({"a": [1, 3, 3, None], "b": [1, None, None, None]})
    arguments = {"ignore_row_if": ignore_row_if} if ignore_row_if else {}
    found = find(land(tmp_path, first, second), "compound_columns_to_be_unique", column_list=["a", "b"], **arguments)
    assert found.observed == {"evaluated": evaluated, "failed": failed}


def test_a_row_that_was_read_twice_is_no_duplicate_and_its_later_version_counts(tmp_path: Path) -> None:
    chunks = (
        pa.table({"id": [1, 2, None], "email": ["old", "b", "n"], "at": [1, 2, 3]}),
        pa.table({"id": [1, 3, None], "email": ["new", "c", "n"], "at": [9, 4, 5]}),
        pa.table({"id": [4], "email": ["old"], "at": [6]}),
    )
    files = land(tmp_path, *chunks)
    found = find(files, "column_values_to_be_unique", mode="incremental", column="email")
    assert found.observed == {"evaluated": 6, "failed": 2}  # of rows without a key both are kept
    assert find(files, "column_sum_to_be_between", mode="incremental", column="at", max_value=29).observed == 29
    assert find(files, "column_values_to_be_unique", mode="snapshot", column="email").observed == {
        "evaluated": 7,
        "failed": 4,
    }


def test_two_rows_with_one_key_in_one_chunk_are_two_rows(tmp_path: Path) -> None:
    files = land(tmp_path, pa.table({"id": [1]}), pa.table({"id": [1, 1]}))
    found = find(files, "column_values_to_be_unique", mode="incremental", column="id")
    assert found.observed == {"evaluated": 2, "failed": 2}


@pytest.mark.parametrize(
    ("name", "arguments", "passed"),
    [
        ("table_row_count_to_equal", {"value": 1_000}, True),
        ("table_row_count_to_equal", {"value": 999}, False),
        ("table_row_count_to_be_between", {"min_value": 1_000}, True),
        ("table_row_count_to_be_between", {"min_value": 1_000, "strict_min": True}, False),
        ("table_row_count_to_be_between", {"max_value": 1_000, "strict_max": True}, False),
        ("table_row_count_to_be_between", {"max_value": 1_000}, True),
    ],
)
@pytest.mark.parametrize("has_files", [True, False])
def test_row_counts_are_the_loads(tmp_path: Path, has_files: bool, name: str, arguments: dict[str, Any], passed: bool) -> None:
    files = land(tmp_path, pa.table({"a": [1]})) if has_files else []
    found = find(files, name, **arguments)
    assert (found.passed, found.observed) == (passed, 1_000)


COLUMNS = pa.table(
    {
        "id": pa.array([2**53 + 1, 2**53, None, 1, 1], pa.int64()),
        "price": pa.array([Decimal("0.10"), Decimal("0.30"), None, Decimal("0.20"), Decimal("0.20")], DECIMAL),
        "ratio": pa.array([0.1, 0.2, None, 0.3, float("nan")]),
        "huge": pa.array([2**63 - 1, 2**63 - 1, None, 1, 1], pa.int64()),
        "widest": pa.array([Decimal(10**38 - 1)] * 5, pa.decimal128(38, 0)),
        "at": pa.array([datetime(2024, 1, day, tzinfo=UTC) for day in range(1, 6)], pa.timestamp("us", "UTC")),
        "day": pa.array([date(1, 1, 1), date(9999, 1, 1), None, None, None]),
        "text": pa.array(["Z", "a", None, "é", "é"]).dictionary_encode(),
        "none": pa.nulls(5, DECIMAL),
    }
)


@pytest.mark.parametrize(
    ("name", "column", "arguments", "passed", "observed"),
    [
        ("max", "id", {"max_value": 2**53}, False, 2**53 + 1),
        ("max", "id", {"max_value": 2**53 + 1}, True, 2**53 + 1),
        ("min", "price", {"min_value": 0.1}, True, "0.10"),
        ("min", "price", {"min_value": 0.1, "strict_min": True}, False, "0.10"),
        ("min", "at", {"min_value": "2024-01-01"}, True, "2024-01-01T00:00:00+00:00"),
        ("max", "at", {"max_value": "2024-01-04T23:00:00Z"}, False, "2024-01-05T00:00:00+00:00"),
        ("min", "day", {"min_value": "0001-01-02"}, False, "0001-01-01"),
        ("max", "text", {"max_value": "z"}, False, "é"),
        ("sum", "price", {"min_value": 0.8, "max_value": 0.8}, True, "0.80"),
        ("sum", "huge", {"min_value": 2**64}, True, 2**64),
        ("sum", "widest", {"min_value": 0}, False, None),
        ("mean", "price", {"min_value": 0.2, "max_value": 0.2}, True, 0.2),
        ("mean", "ratio", {"min_value": 0}, False, "nan"),
        ("median", "price", {"min_value": 0.2, "max_value": 0.2}, True, 0.2),
        ("median", "id", {"min_value": 2**52, "strict_max": True, "max_value": 2**52 + 1}, True, (2**53 + 1) / 2),
        ("stdev", "price", {"min_value": 0.08, "max_value": 0.09}, True, pytest.approx(0.0816496580927726)),
        ("unique_value_count", "text", {"max_value": 3}, True, 3),
        ("proportion_of_unique_values", "text", {"min_value": 0.75, "max_value": 0.75}, True, 0.75),
        ("proportion_of_unique_values", "none", {"min_value": 0.1}, False, 0),
        ("proportion_of_non_null_values", "text", {"min_value": 0.8}, True, 0.8),
        ("proportion_of_non_null_values", "none", {"min_value": 0, "strict_min": True}, False, 0.0),
        ("max", "none", {"max_value": 1}, False, None),
    ],
)
def test_aggregates_are_exact_and_no_value_is_in_no_range(  # noqa: PLR0917
    tmp_path: Path, name: str, column: str, arguments: dict[str, Any], passed: bool, observed: object
) -> None:
    files = land(tmp_path, COLUMNS.slice(0, 2), COLUMNS.slice(2))
    found = find(files, f"column_{name}_to_be_between", column=column, **arguments)
    assert (found.passed, found.observed) == (passed, observed)


@pytest.mark.parametrize(
    ("column", "value_set", "unexpected", "missing"),
    [
        ("price", [0.1, 0.2, 0.3], 0, 0),
        ("price", [0.1, 0.2], 1, 0),
        ("id", [1, 2**53, 2**53 + 1, 7, 7], 0, 1),
        ("text", ["Z", "a"], 1, 0),
        ("at", [f"2024-01-0{day}" for day in range(1, 7)], 0, 1),
    ],
)
def test_distinct_values_are_compared_as_sets(tmp_path: Path, column: str, value_set: list[Any], unexpected: int, missing: int) -> None:
    files = land(tmp_path, COLUMNS.slice(0, 2), COLUMNS.slice(2))
    outcomes = {"be_in_set": not unexpected, "contain_set": not missing, "equal_set": not unexpected and not missing}
    for name, passed in outcomes.items():
        found = find(files, f"column_distinct_values_to_{name}", column=column, value_set=value_set)
        assert (found.passed, found.observed) == (passed, {"unexpected": unexpected, "missing": missing})


def test_a_load_without_files_has_no_value(tmp_path: Path) -> None:
    assert find([], "column_values_to_be_unique", column="a").observed == {"evaluated": 0, "failed": 0}
    assert find([], "column_values_to_be_unique", column="a").passed
    assert not find([], "column_max_to_be_between", column="a", max_value=1).passed
    assert find([], "column_unique_value_count_to_be_between", column="a", max_value=0).passed
    assert find([], "column_distinct_values_to_be_in_set", column="a", value_set=[1]).passed
    assert not find([], "column_distinct_values_to_contain_set", column="a", value_set=[1]).passed


def test_names_are_quoted(tmp_path: Path) -> None:
    name = 'se"lect, 1'
    files = land(tmp_path, pa.table({name: [1, 1]}))
    assert find(files, "column_values_to_be_unique", column=name).observed == {"evaluated": 2, "failed": 2}


def test_a_misspelt_column_is_a_mistake_in_the_catalog(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"did you mean `price`\?"):
        find(land(tmp_path, COLUMNS), "column_max_to_be_between", column="prise", max_value=1)


def test_a_file_that_cannot_be_read_is_told_as_such(tmp_path: Path) -> None:
    good, bad = land(tmp_path, COLUMNS), tmp_path / "bad.parquet"
    bad.write_bytes(b"these are not the rows")
    for files in ([bad], [*good, bad], [tmp_path / "gone.parquet"], [*good, tmp_path / "gone.parquet"]):
        with pytest.raises(LandingCorrupt, match=r"Table `shop\.orders`: a landed file cannot be read"):
            find(files, "column_max_to_be_between", column="id", max_value=1)


def test_a_load_larger_than_the_memory_limit_spills(tmp_path: Path) -> None:
    # 2,000,000 distinct 36-character texts are over 100 MB as groups; the limit is 60 MB.
    rows = 500_000
    files = []
    for number in range(4):
        ids = pa.array(range(number * rows, (number + 1) * rows), pa.int64())
        text = pa.compute.binary_join_element_wise(ids.cast(pa.string()), "x" * 30, "-")
        files.append(tmp_path / f"chunk-{number:06d}.parquet")
        pq.write_table(pa.table({"id": ids, "text": text}), files[-1])
    expectations = (
        Expectation("expect_column_values_to_be_unique", {"column": "text"}, "hold"),
        Expectation("expect_column_median_to_be_between", {"column": "id", "min_value": 1}, "hold"),
    )
    spec = TableSpec("shop", "public", "orders", "incremental", key=("id",), expectations=expectations)
    found = GreatExpectationsGate(tmp_path, 60_000_000).check_load(spec, LandedLoad(files, 4 * rows))
    assert [finding.observed for finding in found] == [{"evaluated": 4 * rows, "failed": 0}, 2 * rows - 0.5]
    assert sorted(tmp_path.iterdir()) == files
