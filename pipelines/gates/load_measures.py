"""Load expectations: a few numbers per expectation, by DuckDB over the landed files, judged as GX judges them.

Why not GX: on pandas it would hold the whole load in memory, and over DuckDB 9 of 10 of its expectations raise (1.24).
DuckDB reads only the columns that an expectation names and spills above its limit, so memory is bounded.

A row that was updated while the load was read stands in two chunks. Its later version is the one that will be loaded,
so the earlier one is left out here; otherwise a re-read row would be a duplicate of itself. Only a row count counts
both: it is the engine's ``total_rows``.
Not here: rows that step aside (``great_expectations``), uniqueness of the declared key (the engine checks it always).
"""

import math
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LandingCorrupt, PrerequisiteError
from pipelines.gates.arguments import convert_arguments
from pipelines.gates.bounds import plain_type
from pipelines.gates.classes import check_expectations, find_columns, make_config_error, select_expectations
from pipelines.gates.judge import is_share_met
from pipelines.gates.rules import RULES
from pipelines.landing.scan import parquet_pattern
from pipelines.sync.protocols import LoadFinding
from pipelines.sync.spec import Expectation, TableSpec

_FILE, _CHUNK, _LAST = "_daybreak_file", "_daybreak_chunk", "_daybreak_last"
# Groups of equal values: how many, how many rows they hold, and how many rows are not alone in theirs. Spills.
_GROUPS = """
select count(*) as distinct_values, coalesce(sum(members), 0) as evaluated,
       coalesce(sum(members) filter (where members > 1), 0) as failed
from (select count(*) as members from landed where {is_judged} group by {columns})
"""
_SETS = """
with found as (select distinct {columns} as value from landed where {columns} is not null)
select (select count(*) from found anti join expected using (value)) as unexpected,
       (select count(*) from expected anti join found using (value)) as missing
"""
_VALUES = {
    "expect_column_min_to_be_between": "select min({columns}) as value from landed",
    "expect_column_max_to_be_between": "select max({columns}) as value from landed",
    "expect_column_mean_to_be_between": "select avg({columns}) as value from landed",
    "expect_column_sum_to_be_between": "select sum({columns}) as value from landed",
    "expect_column_stdev_to_be_between": "select stddev_samp({columns}) as value from landed",
    # median() keeps every value in memory; a sort spills.
    "expect_column_median_to_be_between": """
        select avg(value) as value from (
            select {columns} as value, row_number() over (order by {columns}) as place, count(*) over () as total
            from landed where {columns} is not null
        ) where place in ((total + 1) // 2, (total + 2) // 2)
    """,
    "expect_column_proportion_of_non_null_values_to_be_between": """
        select count({columns}) / nullif(count(*), 0) as value from landed
    """,
}


@dataclass(frozen=True)
class _Landed:
    """An open DuckDB with the load as the view ``landed``, and the types of its columns; no connection = no files."""

    connection: duckdb.DuckDBPyConnection | None
    types: Mapping[str, pa.DataType]

    def measure(self, sql: str) -> dict[str, Any]:
        """Return the one row that ``sql`` gives; nothing where nothing landed."""
        if self.connection is None:
            return {}
        try:
            row: dict[str, Any] = self.connection.sql(sql).to_arrow_table().to_pylist()[0]
        except duckdb.OutOfRangeException:
            return {}  # a sum beyond 38 digits is no number, so it is in no range
        return row


def check_landed(
    spec: TableSpec, files: Sequence[Path], total_rows: int, *, scratch: Path | None, memory_bytes: int
) -> tuple[LoadFinding, ...]:
    """Evaluate the load expectations of ``spec``; ``files`` are in the order of their chunks.

    As in GX, NULLs are left out, and an aggregate over no value fails. NaN is a value, equal to itself. Raises
    ``ConfigError`` for what cannot be evaluated, ``LandingCorrupt`` for a file that cannot be read, and
    ``PrerequisiteError`` when even the disk is too small.
    """
    try:
        with _open_landed(spec, files, scratch, memory_bytes) as landed:
            return tuple(_check(landed, expectation, total_rows) for expectation in select_expectations(spec, "load"))
    except duckdb.OutOfMemoryException as error:
        problem = f"`{spec.id}`: the load's gate needs more than {memory_bytes:,} bytes and the free disk: {error}"
        remedy = "Free some disk in the scratch folder, or give the gate more memory."
        raise PrerequisiteError([problem], safe="Nothing became visible.", remedy=remedy) from error
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise _make_corrupt(spec, error) from error


def _make_corrupt(spec: TableSpec, error: Exception) -> LandingCorrupt:
    remedy = "Run the sync again: what cannot be read back is read anew from the source."
    what = f"a landed file cannot be read: {error}"
    return LandingCorrupt(what, safe="Nothing became visible.", remedy=remedy, table=spec.id)


@contextmanager
def _open_landed(spec: TableSpec, files: Sequence[Path], scratch: Path | None, memory_bytes: int) -> Iterator[_Landed]:
    if not files:
        yield _Landed(None, {})
        return
    try:
        types = {column.name: column.type for column in pq.read_schema(files[0])}
    except (pa.ArrowException, OSError) as error:
        raise _make_corrupt(spec, error) from error
    if problems := check_expectations(spec, types):
        raise make_config_error(spec, problems)
    with tempfile.TemporaryDirectory(prefix="gate-", dir=scratch) as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_bytes}B",
            "temp_directory": folder,
            "threads": 2,  # each thread of a spilling query wants its own share of the memory
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",  # a gate must not go to the network
        }
        with duckdb.connect(":memory:", config=settings) as connection:
            connection.execute("set timezone = 'UTC'")
            _create_view(connection, spec, files)
            yield _Landed(connection, types)


def _create_view(connection: duckdb.DuckDBPyConnection, spec: TableSpec, files: Sequence[Path]) -> None:
    """Create ``landed``: every row of the files, or every row's last version where a key can stand in two chunks.

    Whole chunks are compared, not rows: two rows with one key in the *same* chunk are two rows, and stay; so do rows
    with a NULL in the key. The keys that repeat are few, so the join is small (grouping spills).
    """
    paths = ", ".join(_quote_text(parquet_pattern(file)) for file in files)
    # A folder that is called `day=...` is no column, and a column may be called `filename`.
    reader = f"read_parquet([{paths}], filename = '{_FILE}', hive_partitioning = false)"
    if spec.mode != "incremental" or not spec.key or len(files) == 1:
        connection.execute(f"create view landed as from {reader}")
        return
    order = ", ".join(f"({_quote_text(str(file))}, {number})" for number, file in enumerate(files))
    keys = _quote_names(spec.key)
    connection.execute(f"create table chunk_order as from (values {order}) as chunk_order ({_FILE}, {_CHUNK})")
    connection.execute(f"create view versions as from {reader} join chunk_order using ({_FILE})")
    connection.execute(f"""
        create table repeated as select {keys}, max({_CHUNK}) as {_LAST} from versions
        group by {keys} having min({_CHUNK}) < max({_CHUNK})
    """)
    last = f"from versions left join repeated using ({keys}) where coalesce({_CHUNK} = {_LAST}, true)"
    connection.execute(f"create view landed as {last}")


def _quote_names(names: Sequence[str]) -> str:
    return ", ".join('"' + name.replace('"', '""') + '"' for name in names)


def _quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _check(landed: _Landed, expectation: Expectation, total_rows: int) -> LoadFinding:
    rule, name = RULES[expectation.name], expectation.name
    columns = find_columns(rule, expectation)
    types = [landed.types.get(column, pa.null()) for column in columns]
    # Without a file there are no types; every value then fails, except the counts, which need none.
    arguments, _ = convert_arguments(rule, expectation.arguments, types)
    if "value_set" in rule.required:
        return _check_set(landed, expectation, arguments, columns)
    if name in ("expect_column_values_to_be_unique", "expect_compound_columns_to_be_unique"):
        groups = _measure_groups(landed, columns, arguments.get("ignore_row_if"))
        passed = is_share_met(groups["evaluated"], groups["failed"], expectation.mostly)
        return LoadFinding(expectation, passed, {key: groups[key] for key in ("evaluated", "failed")})
    value = _measure_value(landed, name, columns, total_rows)
    if name == "expect_table_row_count_to_equal":
        return LoadFinding(expectation, value == arguments["value"], value)
    return LoadFinding(expectation, _is_between(value, arguments), _make_plain(value))


def _measure_groups(landed: _Landed, columns: Sequence[str], ignore_row_if: str | None = None) -> dict[str, int]:
    """Count groups of equal values. NULL equals NULL where rows with NULLs are judged at all, as in GX."""
    word = {"any_value_is_missing": " and ", "never": None}.get(ignore_row_if or "", " or ")
    is_judged = word.join(f"{_quote_names([column])} is not null" for column in columns) if word else "true"
    row = landed.measure(_GROUPS.format(is_judged=is_judged, columns=_quote_names(columns)))
    return {key: int(row.get(key, 0)) for key in ("distinct_values", "evaluated", "failed")}


def _measure_value(landed: _Landed, name: str, columns: Sequence[str], total_rows: int) -> object:
    match name:
        case "expect_table_row_count_to_equal" | "expect_table_row_count_to_be_between":
            return total_rows
        case "expect_column_unique_value_count_to_be_between":
            return _measure_groups(landed, columns)["distinct_values"]
        case "expect_column_proportion_of_unique_values_to_be_between":
            groups = _measure_groups(landed, columns)
            return groups["distinct_values"] / groups["evaluated"] if groups["evaluated"] else 0
        case _:
            return landed.measure(_VALUES[name].format(columns=_quote_names(columns))).get("value")


def _check_set(landed: _Landed, expectation: Expectation, arguments: Mapping[str, Any], columns: Sequence[str]) -> LoadFinding:
    """Compare the distinct values with the catalog's, both in the column's type; the numbers name no value."""
    if landed.connection is None:
        counts = {"unexpected": 0, "missing": len(expectation.arguments["value_set"])}
    else:
        expected = pa.array(set(arguments["value_set"]), plain_type(landed.types[columns[0]]))
        landed.connection.register("expected", pa.table({"value": expected}))
        row = landed.measure(_SETS.format(columns=_quote_names(columns)))
        counts = {key: int(row[key]) for key in ("unexpected", "missing")}
    match expectation.name:
        case "expect_column_distinct_values_to_be_in_set":
            passed = not counts["unexpected"]
        case "expect_column_distinct_values_to_contain_set":
            passed = not counts["missing"]
        case _:
            passed = not counts["unexpected"] and not counts["missing"]
    return LoadFinding(expectation, passed, counts)


def _is_between(value: Any, arguments: Mapping[str, Any]) -> bool:  # noqa: ANN401 - whatever has an order
    """Compare as GX does: no value, and NaN, is in no range. A float is compared with the bound's float."""
    if value is None or value != value:  # noqa: PLR0124 - only NaN is unequal to itself
        return False
    low, high = (_as_float_beside(value, arguments.get(name)) for name in ("min_value", "max_value"))
    is_above = low is None or (value > low if arguments.get("strict_min") else value >= low)
    is_below = high is None or (value < high if arguments.get("strict_max") else value <= high)
    return bool(is_above and is_below)


def _as_float_beside(value: object, bound: object) -> Any:  # noqa: ANN401 - as above
    return float(bound) if isinstance(value, float) and isinstance(bound, int | Decimal) else bound


def _make_plain(value: object) -> object:
    """Return what a verdict can be written down with: decimals and times as text, and no number that is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else str(value)
    return value.isoformat() if isinstance(value, date | time) else value
