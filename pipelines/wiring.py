"""Puts an engine together from settings, and syncs the tables of a source on a few threads. No Dagster in here."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

from pipelines.errors import ConfigError, DaybreakError, LandingUnavailable, PrerequisiteError, SourceUnavailable, WarehouseUnavailable
from pipelines.landing.bucket import open_bucket
from pipelines.landing.bucket_shelf import BucketShelf
from pipelines.landing.store import Landing
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.state.attempts import is_synced
from pipelines.state.backfills import Backfill
from pipelines.state.mirror import Mirror
from pipelines.sync.backfill import BackfillOrder, backfill_table
from pipelines.sync.context import Engine, Progress, ignore_progress
from pipelines.sync.engine import sync_table
from pipelines.sync.model import DayRange, TableResult
from pipelines.sync.protocols import Source
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.sync.throttle import LEAST_OF_FILL, Manners, Throttle, Unthrottled, Yielding
from pipelines.warehouses import is_made, open_warehouse

TRIES = 3  # what may be retried is tried again before a table is held
LOOK_SECONDS = 1.0  # how long somebody who only looks waits for the warehouse
PAUSE_SECONDS = 1.0  # before the second try; twice as long before the third


def ignore_backfill(_backfill: Backfill) -> None:
    """Watch nothing."""


@dataclass(frozen=True)
class SyncRequest:
    """Which tables of a source to sync, and what to do while it goes on.

    ``days`` make it a back-fill of the partitioned ones: for ``reason``, told to ``watch`` before each window, and ``is_anew`` from
    the first day, whatever an attempt before it did. ``lets_vanish``: a person allowed more rows to go than ``max_deletes``.
    """

    source: SourceSpec
    tables: tuple[TableSpec, ...]
    days: DayRange | None = None
    progress: Progress = ignore_progress
    run_id: str | None = None
    reason: str = ""
    watch: Callable[[Backfill], None] = ignore_backfill
    is_anew: bool = False
    lets_vanish: bool = False
    stop: threading.Event = field(default_factory=threading.Event)  # ends a back-fill as soon as that loses nothing


@lru_cache(maxsize=8)
def open_mirror(state_url: str) -> Mirror:
    """Return this process's mirror behind ``state_url``."""
    return Mirror(state_url)


def rebuild_mirror(settings: Settings) -> str | None:
    """Fill a mirror that was lost from the warehouse, if that answers at once. Returns what keeps it empty; None if all is well."""
    mirror, tables = open_mirror(settings.state_url), [table.id for source in settings.sources() for table in source.tables]
    if mirror.statuses() or not is_made(settings.warehouse_url):
        return None
    try:
        mirror.repair(open_warehouse(settings.warehouse_url, LOOK_SECONDS).read_state(tables), tables)
    except DaybreakError as error:
        place = settings.state_url.rpartition("@")[2]  # without a password
        return f"The mirror {place} is empty, and it could not be rebuilt: {error} The next run rebuilds it."
    return None


def open_landing(settings: Settings) -> Landing:
    """Return the landing that the settings tell of."""
    folder, address = settings.landing.folder, settings.landing.bucket
    return Landing(folder, settings.keep_loads, BucketShelf(folder, open_bucket(address)) if address else None)


@contextmanager
def open_engine(settings: Settings, request: SyncRequest) -> Iterator[Engine]:
    """Yield an engine with a source of its own, for one thread. Raises ``ConfigError`` if the source's URL is not set."""
    from pipelines.gates.great_expectations import GreatExpectationsGate

    url = settings.source_url(request.source)
    with open_source(request.source.name, url, settings.max_snapshot_seconds) as source:
        yield Engine(
            source=source,
            warehouse=open_warehouse(settings.warehouse_url, settings.lock_wait_seconds),
            gate=GreatExpectationsGate(),
            landing=open_landing(settings),
            mirror=open_mirror(settings.state_url),
            mask_key=settings.mask_key,
            time_zone=settings.time_zone,
            chunk_rows=settings.chunk_rows,
            chunk_bytes=settings.chunk_bytes,
            max_windows=settings.max_windows_per_run,
            clock=settings.now,
            today=settings.local_today,
            progress=request.progress,
            throttle=_make_throttle(settings, source, request.stop) if request.days else Unthrottled(),
            run_id=request.run_id,
            is_backfill=request.days is not None,
            lets_vanish=request.lets_vanish,
            filling=lambda: _make_throttle_of_fill(settings, source),
        )


def _make_throttle(settings: Settings, source: Source, stop: threading.Event) -> Throttle:
    """Return the throttle of a back-fill, which lets live syncs go first."""
    mirror = open_mirror(settings.state_url)
    return Yielding(
        Manners(source.activity, source.spent, lambda table_id: is_synced(mirror, table_id), settings.backfill_max_sessions, stop)
    )


def _make_throttle_of_fill(settings: Settings, source: Source) -> Throttle:
    """Return the throttle of what a live sync fills itself."""
    return Yielding(Manners(source.activity, source.spent, lambda _table_id: False, settings.backfill_max_sessions), LEAST_OF_FILL)


def sync_tables(settings: Settings, request: SyncRequest, each: Callable[[TableResult], None] | None = None) -> Sequence[TableResult]:
    """Sync the request's tables, a few at a time, and return their results in the request's order.

    A table that its source, its entry, a schema or the warehouse keeps from being synced is ``held`` with the error as its
    reason, and the other tables go on. Raises only what is a defect of ours.
    """
    readers = 1 if request.days else min(settings.parallel_tables, request.source.max_connections)
    workers = min(readers, len(request.tables)) or 1
    given_up: list[DaybreakError] = []
    with ThreadPoolExecutor(workers, thread_name_prefix=f"sync-{request.source.name}") as pool:
        futures = [pool.submit(_sync_or_hold, settings, request, table, given_up) for table in request.tables]
        try:
            for future in as_completed(futures):  # told at once, so that little is forgotten if this process is killed
                result = future.result()
                if each:
                    each(result)
        except BaseException:  # of a person who interrupts, above all
            request.stop.set()
            raise
        return [future.result() for future in futures]


def _sync_or_hold(settings: Settings, request: SyncRequest, table: TableSpec, given_up: list[DaybreakError]) -> TableResult:
    """Sync one table. ``given_up`` tells the others that the source, landing or warehouse cannot be had, so they need not wait too."""
    for attempt in range(TRIES):
        if given_up:
            return _hold(settings, request, table, given_up[0])
        try:
            with open_engine(settings, request) as engine:
                if request.days and table.mode == "partitioned":
                    return backfill_table(engine, table, _make_order(settings, request, request.days))
                return sync_table(engine, table)
        except DaybreakError as error:
            is_last = attempt + 1 == TRIES
            is_source_down = is_last and isinstance(error, SourceUnavailable) and not _answers(settings, request, table)
            if is_source_down or isinstance(error, (WarehouseUnavailable, LandingUnavailable)):  # waited for, long enough
                given_up.append(error)
            if is_last or given_up or not error.is_retryable:
                return _hold(settings, request, table, error)
        time.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the loop returns or raises")


def _answers(settings: Settings, request: SyncRequest, table: TableSpec) -> bool:
    """Whether the source answers at all: a query of one table may have been ended, which says nothing of the others."""
    try:
        with open_source(request.source.name, settings.source_url(request.source)) as source:
            source.observe(table)
    except PrerequisiteError:  # which is an answer
        return True
    except DaybreakError:
        return False
    return True


def _make_order(settings: Settings, request: SyncRequest, days: DayRange) -> BackfillOrder:
    return BackfillOrder(days, request.reason, settings.backfill_hours, settings.local_time, request.watch, request.is_anew)


def _hold(settings: Settings, request: SyncRequest, table: TableSpec, error: DaybreakError) -> TableResult:
    if request.days is None:  # a back-fill that cannot go on leaves the table as it was
        open_mirror(settings.state_url).record_held(table.id, str(error), error.load_id, settings.local_today())
    return TableResult(table.id, "held", held_reason=str(error), is_misconfigured=isinstance(error, (ConfigError, PrerequisiteError)))
