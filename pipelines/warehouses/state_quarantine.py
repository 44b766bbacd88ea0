"""Reads the quarantine for people: how much of it there is, and what stands in it. Opening and closing entries is the commit's."""

from collections.abc import Sequence

from pipelines.sync.quarantined import NULL_KEY, QuarantineCount, QuarantineEntry, QuarantineState, WaitingRows
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import OF_TABLE, Run
from pipelines.warehouses.state_ledger import TABLE_ID

_COUNTS = f"""
select {TABLE_ID}, column_name, reason, count_if(state = 'open'), count_if(state = 'open' and stale_load_id is not null),
    count_if(state = 'replayed'), count_if(state = 'fixed'), min(case when state = 'open' then quarantined_at end)
from daybreak.quarantine
where {TABLE_ID} in (MEMBERS)
group by 1, 2, 3
order by 1, 2, 3
"""
_ENTRIES = f"""
select key, column_name, reason, original, day, load_id, state, quarantined_at, closed_at, stale_load_id
from daybreak.quarantine
where {OF_TABLE} and ($state is null or state = $state) and ($key is null or key = $key)
order by quarantined_at, key
"""
_WAITING = f"""
select case when reason <> '{NULL_KEY}' then key end as named, day, count(*)
from daybreak.quarantine
where {OF_TABLE} and state = 'open' and ($key is null or key = $key)
group by 1, 2
"""


def count_entries(run: Run, tables: Sequence[str]) -> tuple[QuarantineCount, ...]:
    """Return what stands in quarantine, by table, column and reason."""
    query = _COUNTS.replace("MEMBERS", run.dialect.members("tables"))
    return tuple(QuarantineCount(*row) for row in run(query, tables=list(tables)))


def read_entries(
    run: Run, spec: TableSpec, state: QuarantineState | None, key: str | None, limit: int | None
) -> tuple[QuarantineEntry, ...]:
    """Return the entries of a table, oldest first."""
    query = _ENTRIES if limit is None else f"{_ENTRIES} limit {limit}"
    return tuple(QuarantineEntry(spec.id, *row) for row in run(query, source=spec.source, table=spec.name, state=state, key=key))


def find_waiting(run: Run, spec: TableSpec, key: str | None) -> WaitingRows:
    """Return the open rows of a table: without their content, which may be far larger than their keys."""
    rows = run(_WAITING, source=spec.source, table=spec.name, key=key)
    keys = sorted({named for named, _, _ in rows if named is not None})
    unnamed = [(day, count) for named, day, count in rows if named is None]
    days = sorted({day for day, _ in unnamed if day is not None})
    return WaitingRows(tuple(keys), sum(count for _, count in unnamed), tuple(days))
