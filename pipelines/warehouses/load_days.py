"""The days of a partitioned table in the transaction of a load: what was read of each, and what does not stand as it was read."""

from datetime import datetime

from pipelines.sync.model import StagedLoad
from pipelines.warehouses import load_sql as sql
from pipelines.warehouses.dialect import OF_TABLE, Run, as_rows, names_of
from pipelines.warehouses.load_quarantine import touched_days


def count_skipped(run: Run, load: StagedLoad) -> int:
    """Count the accepted rows of days that read as they stand, and so are not loaded again."""
    if not load.skipped_days:
        return 0
    day = sql.day_of(run.dialect, load)
    return int(run(f"select count(*) from {sql.GOOD} landed where {day} in (select day from skipped)")[0][0])


def void_days(run: Run, load: StagedLoad, now: datetime, *, is_filled: bool, is_reread: bool) -> None:
    """Empty the digests of days that do not stand as they were read, before rows leave them; all of them if all is read again."""
    if load.spec.partition and load.plan.window.keys:
        # Their rows are read again one by one.
        _void(run, load, now, sql.is_one_of("windows.day", touched_days(run.dialect, load)))
    elif load.spec.partition and is_filled:
        _void_strayed(run, load, now, is_every=is_reread)


def record_days(run: Run, load: StagedLoad, now: datetime) -> None:
    """Record what was read of each day of the load."""
    if load.days:
        names = names_of(load.spec)
        run(f"delete from daybreak.windows where {OF_TABLE} and {sql.is_one_of('windows.day', 'select day from changed')}", **names)
        read = run.dialect.rows("rows", {"day": "date", "row_count": "bigint", "digest": "varchar"})
        run(
            "insert into daybreak.windows (source_name, table_name, day, row_count, digest, load_id, committed_at) "
            f"select $source, $table, day, row_count, digest, $load_id, $now from ({read}) given",
            **names,
            rows=as_rows([(digest.day, digest.rows, digest.digest) for digest in load.days]),
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
        _void(run, load, now, sql.is_one_of("windows.day", sql.strayed_days(run.dialect, load)))


def _void(run: Run, load: StagedLoad, now: datetime, which: str) -> None:
    run(
        f"update daybreak.windows set digest = '', load_id = $load_id, committed_at = $now where {OF_TABLE} and {which}",
        **names_of(load.spec),
        load_id=load.plan.load_id,
        now=now,
    )
