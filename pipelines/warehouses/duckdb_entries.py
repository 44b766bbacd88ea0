"""Reads the quarantine for people: how much of it there is, and what stands in it. Opening and closing entries is the commit's."""

from collections.abc import Sequence

import duckdb

from pipelines.sync.model import NULL_KEY, QuarantineCount, QuarantineEntry, QuarantineState, WaitingRows
from pipelines.sync.spec import TableSpec

_COUNTS = """
select source_name || '.' || table_name, column_name, reason, count(*) filter (where state = 'open'),
    count(*) filter (where state = 'open' and stale_load_id is not null), count(*) filter (where state = 'replayed'),
    count(*) filter (where state = 'fixed'), min(quarantined_at) filter (where state = 'open')
from daybreak.quarantine
where list_contains($tables, source_name || '.' || table_name)
group by all
order by all
"""

_ENTRIES = """
select key, column_name, reason, original, day, load_id, state, quarantined_at, closed_at, stale_load_id
from daybreak.quarantine
where source_name = $source and table_name = $table and ($state is null or state = $state) and ($key is null or key = $key)
order by quarantined_at, key
limit $limit
"""
_ALL = 2**62

_WAITING = f"""
with waiting as (
    select key, day, key is not null and reason <> '{NULL_KEY}' as is_named
    from daybreak.quarantine
    where source_name = $source and table_name = $table and state = 'open' and ($key is null or key = $key)
)
select coalesce(list_sort(list(distinct key) filter (where is_named)), []), count(*) filter (where not is_named),
    coalesce(list_sort(list(distinct day) filter (where not is_named and day is not null)), [])
from waiting
"""


def count_entries(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> tuple[QuarantineCount, ...]:
    """Return what stands in quarantine, by table, column and reason."""
    return tuple(QuarantineCount(*row) for row in connection.execute(_COUNTS, {"tables": list(tables)}).fetchall())


def read_entries(
    connection: duckdb.DuckDBPyConnection, spec: TableSpec, state: QuarantineState | None, key: str | None, limit: int | None
) -> tuple[QuarantineEntry, ...]:
    """Return the entries of a table, oldest first."""
    parameters = {"source": spec.source, "table": spec.name, "state": state, "key": key, "limit": _ALL if limit is None else limit}
    return tuple(QuarantineEntry(spec.id, *row) for row in connection.execute(_ENTRIES, parameters).fetchall())


def find_waiting(connection: duckdb.DuckDBPyConnection, spec: TableSpec, key: str | None) -> WaitingRows:
    """Return the open rows of a table: without their content, which may be far larger than their keys."""
    ((keys, unnamed, days),) = connection.execute(_WAITING, {"source": spec.source, "table": spec.name, "key": key}).fetchall()
    return WaitingRows(tuple(keys), unnamed, tuple(days))
