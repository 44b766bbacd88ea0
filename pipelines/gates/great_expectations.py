"""The gate: row expectations by Great Expectations' metrics on pandas, slice by slice; load expectations by DuckDB.

Why GX's *metrics* and not its ``validate()``: the models around them turn every bound into a float (see ``bounds``),
report at most 200 values, hand out one execution engine to all threads, and keep the last frame alive in it. The
metrics are the same code one floor below. They answer with a mask, which is the count and the row positions at once,
for 1.4 CPU ms per expectation and chunk where ``validate()`` takes 12, and 83 ms for three expectations on 100,000 rows
where it takes 400 (measured). A contract test compares the two wherever ``validate()`` is right.
Not here: which expectations there are (``rules``), what a failure leads to (``sync.engine``).
"""

import functools
import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines.gates.arguments import convert_arguments
from pipelines.gates.backtracking import Backtracks, may_backtrack, try_regexes
from pipelines.gates.bounds import kind_of, plain_type
from pipelines.gates.classes import check_expectations, find_columns, make_config_error, select_expectations
from pipelines.gates.history import check_history
from pipelines.gates.judge import MOST_EXAMPLES, judge
from pipelines.gates.load_measures import check_landed
from pipelines.gates.rules import RULES, Rule
from pipelines.sync.land import read_value
from pipelines.sync.model import Verdict
from pipelines.sync.protocols import LandedLoad, LoadFinding, RowFinding
from pipelines.sync.spec import Expectation, TableSpec

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine

# GX maps most types value by value through Python objects of about 100 bytes: a slice bounds that, at 1.4 ms a slice.
_SLICE_ROWS = 65_536
_SLICE_BYTES = 16 * 2**20
_FRAME = "slice"
_KEY_CHARACTERS = 64  # of an example: a key may be a whole document
_LOADING = threading.Lock()  # the warning filters are the whole process's
_DOMAIN = ("column", "column_A", "column_B", "ignore_row_if")


@dataclass(frozen=True)
class GreatExpectationsGate:
    """Judges landed data before it is visible; holds no state, so any number of threads may share one.

    DuckDB spills into ``scratch`` (the system's temporary folder by default) above ``memory_bytes``.
    """

    scratch: Path | None = None
    memory_bytes: int = 512 * 2**20

    def check_rows(self, spec: TableSpec, rows: pa.Table) -> Sequence[RowFinding]:
        """Evaluate the row expectations of ``spec`` on one chunk, in the catalog's order. See ``Gate.check_rows``.

        ``mostly`` is not applied: a share of one chunk says nothing about the load. NULLs are left out as GX does; NaN
        is a value, and outside of every range. Raises ``ConfigError`` with every problem of the table's expectations.
        """
        expectations = select_expectations(spec, "row")
        if not expectations:
            return ()
        _refuse_problems(spec, rows.schema)
        return tuple(_check_column(spec, expectation, rows) for expectation in expectations)

    def check_load(self, spec: TableSpec, load: LandedLoad) -> Sequence[LoadFinding]:
        """Evaluate the load and the history expectations, in the catalog's order. See ``Gate.check_load``."""
        found = list(check_history(spec, load))
        if select_expectations(spec, "load"):
            found += check_landed(spec, load.files, load.rows, scratch=self.scratch, memory_bytes=self.memory_bytes)
        return sorted(found, key=lambda finding: spec.expectations.index(finding.expectation))

    def judge(self, spec: TableSpec, row_findings: Sequence[RowFinding], load_findings: Sequence[LoadFinding] | None) -> Sequence[Verdict]:
        """Return one verdict an expectation of ``spec`` that was evaluated. See ``judge.judge``."""
        return judge(spec, row_findings, load_findings)


def _refuse_problems(spec: TableSpec, schema: pa.Schema) -> None:
    if problems := check_expectations(spec, {column.name: column.type for column in schema}):
        raise make_config_error(spec, problems)


def _check_column(spec: TableSpec, expectation: Expectation, rows: pa.Table) -> RowFinding:
    """Evaluate one expectation on the columns it names, and on no other: GX copies a frame to leave out NULLs."""
    rule = RULES[expectation.name]
    names = find_columns(rule, expectation)
    table = rows.select(names)
    arguments, _ = convert_arguments(rule, expectation.arguments, [column.type for column in table.schema])
    if "value_set" in arguments:
        arguments["value_set"] = _make_series(pa.array(arguments["value_set"], plain_type(table.schema.field(0).type)))
    evaluated, failed, failing, first = 0, 0, list[int](), list[int]()
    try:
        for start, mask in _make_masks(rule, arguments, table):
            found = mask.index[mask]
            evaluated += len(mask)
            failed += len(found)
            first += [start + int(position) for position in found[: MOST_EXAMPLES - len(first)]]
            if expectation.on_failure == "quarantine":
                failing += (found + start).tolist()
    except _CannotEvaluate as cannot:
        problem = f"`{spec.id}`, `{expectation.label}`: GX cannot evaluate it: {cannot}"
        raise make_config_error(spec, [problem]) from None
    return RowFinding(expectation, evaluated, failed, tuple(failing), _name_rows(spec, rows, first))


def _name_rows(spec: TableSpec, rows: pa.Table, positions: Sequence[int]) -> tuple[str, ...]:
    """Return the keys of a few rows as text. Only keys: they are never masked, and every other value may be."""
    if not spec.key or not set(spec.key) <= set(rows.column_names):
        return ()
    return tuple(", ".join(_write_key(read_value(rows[name][position])) for name in spec.key) for position in positions)


def _write_key(value: object) -> str:
    text = "NULL" if value is None else value.hex() if isinstance(value, bytes) else str(value)
    return text if len(text) <= _KEY_CHARACTERS else f"{text[:_KEY_CHARACTERS]}…"


class _CannotEvaluate(Exception):
    """GX raised instead of judging; translated into ConfigError right above."""


def _make_masks(rule: Rule, arguments: Mapping[str, Any], table: pa.Table) -> "Iterator[tuple[int, pd.Series[bool]]]":
    """Yield (first row, mask of unexpected rows by their place in the slice); a mask holds the evaluated rows only."""
    import pandas as pd

    gx = _load_gx()
    engine = gx.engine()
    step = max(1, min(_SLICE_ROWS, _SLICE_BYTES * table.num_rows // max(1, table.nbytes)))
    regexes = [arguments["regex"]] if "regex" in arguments else arguments.get("regex_list", ())
    for start in range(0, table.num_rows, step):
        if any(map(may_backtrack, regexes)):
            _try_on(regexes, table.column(0).slice(start, step))
        frame = pd.DataFrame({name: _make_series(table[name].slice(start, step)) for name in table.column_names})
        engine.load_batch_data(_FRAME, frame)
        yield start, gx.find_unexpected(engine, rule, arguments)
    # Engine and frame refer to each other: without this, the last slice lives until the cycle collector runs.
    engine.load_batch_data(_FRAME, pd.DataFrame())


def _try_on(regexes: Sequence[str], values: pa.ChunkedArray) -> None:
    try:
        try_regexes(regexes, values.unique().drop_null().to_pylist())
    except Backtracks as problem:
        raise _CannotEvaluate(str(problem)) from None


def _make_series(values: "pa.Array | pa.ChunkedArray") -> "pd.Series[Any]":
    """Return a pandas column that holds exactly what Arrow holds: plain ``to_pandas()`` makes 2^53 and 2^53+1 equal.

    Timestamps become pandas' own (as UTC, with their unit): GX compares those at once, and Arrow's one by one, which
    takes 5 CPU seconds per million rows instead of 0.07 (measured).
    """
    import pandas as pd

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    if pa.types.is_string_view(values.type):
        values = values.cast(pa.large_string())  # Arrow cannot filter views
    if kind_of(values.type) in ("timestamp", "timestamptz"):
        values = values.cast(pa.timestamp(values.type.unit, "UTC"))
        return pd.Series(values.to_pandas())
    return pd.Series(pd.arrays.ArrowExtensionArray(values))


@dataclass(frozen=True)
class _GreatExpectations:
    """The three pieces of GX that are used; made once per process."""

    engine: "type[PandasExecutionEngine]"
    calculator: Any
    metric: Any

    def find_unexpected(self, engine: "PandasExecutionEngine", rule: Rule, arguments: Mapping[str, Any]) -> "pd.Series[bool]":
        """Return GX's mask of unexpected rows, by their place in the frame.

        One metric per graph: GX tells metrics apart by their arguments as JSON, where two decimals can be one float.
        """
        _allow_groups(arguments)
        domain = {name: value for name, value in arguments.items() if name in _DOMAIN}
        values = {name: _as_instant(value) for name, value in arguments.items() if name not in _DOMAIN}
        metric = self.metric(f"{rule.metric}.condition", domain, values)
        calculator = self.calculator(engine, show_progress_bars=False)
        try:
            resolved, aborted = calculator.compute_metrics([metric])
        except Exception as error:  # GX raises anything that its metrics raise
            raise _CannotEvaluate(str(error)) from error
        if aborted:
            raise _CannotEvaluate("; ".join(_read_reasons(aborted)))
        mask: pd.Series[Any] = resolved[metric.id][0]
        if mask.empty:
            return mask.astype(bool)  # GX gives an empty mask the column's own type
        # NULL = "unknown" comes from a pair with one NULL; on plain pandas, GX has it unexpected.
        return mask.fillna(True).astype(bool)


def _as_instant(value: object) -> object:
    """Give a bound without time zone the one that ``_make_series`` gives its column."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) and value.tzinfo is None else value


def _allow_groups(arguments: Mapping[str, Any]) -> None:
    """Keep pandas from warning that a group is not returned. Added per call: whoever resets the filters drops it."""
    if any(re.compile(regex).groups for regex in (arguments.get("regex", ""), *arguments.get("regex_list", ()))):
        warnings.filterwarnings("ignore", "This pattern is interpreted as a regular expression", UserWarning)


def _read_reasons(aborted: Mapping[Any, Any]) -> list[str]:
    reasons = {info["exception_info"]["exception_message"] for info in aborted.values()}
    return sorted(str(reason) for reason in reasons)


@functools.cache
def _load_gx() -> _GreatExpectations:
    """Import GX: 5 to 8 CPU seconds, so only when there is a row to judge."""
    os.environ["GX_ANALYTICS_ENABLED"] = "false"  # read while it is imported
    with _LOADING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"module 'sre_(constants|parse)' is deprecated", DeprecationWarning)
        shows_warning = warnings.showwarning
        from great_expectations.execution_engine.pandas_execution_engine import PandasExecutionEngine
        from great_expectations.validator.metric_configuration import MetricConfiguration
        from great_expectations.validator.metrics_calculator import MetricsCalculator

        if warnings.showwarning is not shows_warning:
            logging.captureWarnings(False)  # importing GX sends the whole process's warnings into a log
    return _GreatExpectations(PandasExecutionEngine, MetricsCalculator, MetricConfiguration)
