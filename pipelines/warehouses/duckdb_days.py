"""The days of a partitioned table in the transaction of a load: what was read of each, and what does not stand as it was read."""

from collections.abc import Sequence
from datetime import date, datetime

from pipelines.sync.model import StagedLoad
from pipelines.warehouses import duckdb_sql as sql
from pipelines.warehouses.duckdb_quarantine import touched_days
from pipelines.warehouses.duckdb_shape import Run


def make_days(run: Run, name: str, days: Sequence[date | None]) -> None:
    """Make a temporary table of days."""
    run(f"create temp table {name} (day date)")
    if days:
        run(f"insert into {name} select unnest($days::date[])", days=days)


def count_skipped(run: Run, load: StagedLoad) -> int:
    """Count the accepted rows of days that read as they stand, and so are not loaded again."""
    if not load.skipped_days:
        return 0
    accepted = "landed anti join excluded using (_daybreak_file, file_row_number)"
    return int(run(f"select count(*) from {accepted} where {sql.day_of(load)} in (select day from skipped)")[0][0])


def void_days(run: Run, load: StagedLoad, now: datetime, *, is_filled: bool, is_reread: bool) -> None:
    """Empty the digests of days that do not stand as they were read, before rows leave them; all of them if all is read again."""
    if load.spec.partition and load.plan.window.keys:
        # Their rows are read again one by one.
        _void(run, load, now, _is_in(touched_days(load)))
    elif load.spec.partition and is_filled:
        _void_strayed(run, load, now, is_every=is_reread)


def record_days(run: Run, load: StagedLoad, now: datetime) -> None:
    """Record what was read of each day of the load."""
    for digest in load.days:
        day = {"source": load.spec.source, "table": load.spec.name, "day": digest.day}
        run(
            "delete from daybreak.windows where source_name = $source and table_name = $table and day is not distinct from $day::date",
            **day,
        )
        run(
            "insert into daybreak.windows values ($source, $table, $day::date, $rows, $digest, $load_id, $now)",
            **day,
            rows=digest.rows,
            digest=digest.digest,
            load_id=load.plan.load_id,
            now=now,
        )
    if load.spec.partition and load.quarantined and not load.plan.window.keys:
        # Of a row that moved and stepped aside, the older version stays where it was.
        _void_strayed(run, load, now, is_every=False)


def _void_strayed(run: Run, load: StagedLoad, now: datetime, *, is_every: bool) -> None:
    """Empty the digest of each day that holds a row which this load read in another day: a digest says what was read there.

    The row leaves that day, so the day is this load's: whatever is built on it has to be built again.
    """
    if is_every:
        _void(run, load, now, "true")
    elif load.spec.key:
        _void(run, load, now, _is_in(sql.strayed_days(load)))


def _is_in(days: str) -> str:
    return f"exists (select 1 from ({days}) found where found.day is not distinct from windows.day)"


def _void(run: Run, load: StagedLoad, now: datetime, which: str) -> None:
    run(
        "update daybreak.windows set digest = '', load_id = $load_id, committed_at = $now "
        f"where source_name = $source and table_name = $table and {which}",
        source=load.spec.source,
        table=load.spec.name,
        load_id=load.plan.load_id,
        now=now,
    )
