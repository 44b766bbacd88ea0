"""Keeps comparisons in DuckDB: the last one of each bucket, and one row for each that was made."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import duckdb

from pipelines.sync.sides import ComparedBuckets, Digest, ParityResult, StoredBucket
from pipelines.sync.spec import TableSpec

Run = Callable[..., list[tuple[Any, ...]]]
_MINE = "source_name = $source and table_name = $table"


def read_parity(connection: duckdb.DuckDBPyConnection, spec: TableSpec) -> Mapping[str, StoredBucket]:
    """Return the table's buckets as they were compared last."""
    columns = "bucket, source_rows, source_digest, warehouse_rows, warehouse_digest, checked_at"
    rows = connection.execute(f"select {columns} from daybreak.parity where {_MINE}", _names(spec)).fetchall()
    return {
        bucket: StoredBucket(Digest(int(source), int(source_total)), Digest(int(warehouse), int(total)), checked_at)
        for bucket, source, source_total, warehouse, total, checked_at in rows
    }


def read_results(connection: duckdb.DuckDBPyConnection, tables: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the numbers of each table's last comparison."""
    table_id = "source_name || '.' || table_name"
    newest = "qualify row_number() over (partition by source_name, table_name order by compared_at desc) = 1"
    query = f"select {table_id}, result from daybreak.reconciliations where list_contains($tables, {table_id}) {newest}"
    return {table: json.loads(result) for table, result in connection.execute(query, {"tables": list(tables)}).fetchall()}


def record_parity(run: Run, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
    """Replace the buckets that were hashed, drop those that are gone, and add a row to the log.

    A day that differs keeps no digest: what it has is not what was read, so a load of what was read then would be none.
    """
    names = _names(spec)
    gone = "bucket not in (select unnest($kept::varchar[])) or bucket in (select unnest($hashed::varchar[]))"
    run(f"delete from daybreak.parity where {_MINE} and ({gone})", **names, kept=sorted(buckets.kept), hashed=sorted(buckets.hashed))
    if buckets.hashed:
        hashed = list(buckets.hashed.items())
        run(
            "insert into daybreak.parity select $source, $table, unnest($bucket::varchar[]), unnest($rows::bigint[]), "
            "unnest($warehouse_rows::bigint[]), unnest($digest::varchar[]), unnest($warehouse_digest::varchar[]), "
            "unnest($at::timestamptz[])",
            **names,
            bucket=[name for name, _ in hashed],
            rows=[bucket.source.rows for _, bucket in hashed],
            warehouse_rows=[bucket.warehouse.rows for _, bucket in hashed],
            digest=[str(bucket.source.total) for _, bucket in hashed],
            warehouse_digest=[str(bucket.warehouse.total) for _, bucket in hashed],
            at=[bucket.checked_at for _, bucket in hashed],
        )
    if result.outcome != "equal":
        voided = "update daybreak.windows set digest = '' where source_name = $source and table_name = $table"
        run(f"{voided} and day in (select unnest($days::date[]))", **names, days=list(result.differing_days))
    run(
        "insert into daybreak.reconciliations values "
        "($source, $table, $outcome, $source_count, $warehouse_count, $missing, $extra, $different, $result, $now)",
        **names,
        outcome=result.outcome,
        source_count=result.source_rows,
        warehouse_count=result.warehouse_rows,
        missing=result.missing,
        extra=result.extra,
        different=result.different,
        result=json.dumps(result.numbers),
        now=result.source_as_of,
    )


def _names(spec: TableSpec) -> dict[str, str]:
    return {"source": spec.source, "table": spec.name}
