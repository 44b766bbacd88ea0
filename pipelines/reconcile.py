"""Comparing tables with their sources as people ask for it: which ones, in which order, and what happens if one cannot be compared.

From settings to plain answers, for the command line and for whatever else asks. Not here: how rows are compared (``sync.parity``,
``sync.reconcile``) and healed (``sync.heal``), and how answers look (``cli.reconcile``).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipelines.delivery.completeness_data import refresh_completeness
from pipelines.errors import ConfigError, DaybreakError
from pipelines.settings import Settings
from pipelines.sync.heal import heal_table, keep_result
from pipelines.sync.reconcile import compare_table
from pipelines.sync.sides import ParityResult
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.wiring import SyncRequest, open_engine


@dataclass(frozen=True)
class ReconcileRequest:
    """Which tables to compare (all if none is named), and what to do then. ``overruled_by``: who lets many rows be deleted."""

    source: str | None = None
    table: str | None = None
    is_full: bool = False
    is_healing: bool = False
    overruled_by: str | None = None


def reconcile_tables(
    settings: Settings, request: ReconcileRequest, each: Callable[[ParityResult], None] | None = None
) -> Sequence[ParityResult]:
    """Compare the tables that are asked for, and tell ``each`` result at once.

    A table that cannot be compared is ``held`` with the reason, and the others go on; of one table, a mistake in what was asked is
    raised. Raises ``ConfigError`` for a source or table that is not in the catalog.
    """
    results = []
    for result in reconcile_one_by_one(settings, request, _choose(settings, request)):
        if each:
            each(result)
        results.append(result)
    return results


def reconcile_one_by_one(
    settings: Settings, request: ReconcileRequest, chosen: Iterable[tuple[SourceSpec, TableSpec]]
) -> Iterator[ParityResult]:
    """Compare tables one after the other, so that a source has one query of ours at a time; then make the page of proof anew.

    The page's one place is here: whoever compares tables, the night or a person, comes through.
    """
    for source, table in chosen:
        yield _reconcile(settings, request, source, table)
    refresh_completeness(settings)


def _choose(settings: Settings, request: ReconcileRequest) -> list[tuple[SourceSpec, TableSpec]]:
    if request.overruled_by is not None and not (request.table and request.is_healing):
        problem = "Letting many rows be deleted is decided table by table, when it is healed."
        raise ConfigError([problem], safe="Nothing was read.", remedy="daybreak reconcile SOURCE TABLE --heal --allow-mass-delete")
    if request.source is None:
        return [(source, table) for source in settings.sources() for table in source.tables]
    source, tables = settings.tables(request.source, [request.table] if request.table else [])
    return [(source, table) for table in tables]


def _reconcile(settings: Settings, request: ReconcileRequest, source: SourceSpec, table: TableSpec) -> ParityResult:
    try:
        with open_engine(settings, SyncRequest(source, (table,))) as engine:
            comparison = compare_table(engine, table, is_full=request.is_full)
            result = comparison.result
            keep_result(engine, comparison, result)  # what was found is kept, whatever becomes of the healing
            if request.is_healing and result.differences:
                result = heal_table(engine, comparison, request.overruled_by)
                keep_result(engine, comparison, result)
            return result
    except DaybreakError as error:
        if request.table and isinstance(error, ConfigError):
            raise
        return ParityResult(table.id, "held", table.mode, reason=str(error))
