"""Keeps comparisons in a warehouse: the last one of each bucket, and one row for each that was made."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.sync.sides import ComparedBuckets, Digest, ParityResult, StoredBucket
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import INSTANT, OF_TABLE, Run, as_rows, names_of
from pipelines.warehouses.state_ledger import TABLE_ID


def read_parity(run: Run, spec: TableSpec) -> Mapping[str, StoredBucket]:
    """Return the table's buckets as they were compared last."""
    columns = "bucket, source_rows, source_digest, warehouse_rows, warehouse_digest, checked_at"
    rows = run(f"select {columns} from daybreak.parity where {OF_TABLE}", **names_of(spec))
    return {
        bucket: StoredBucket(Digest(int(source), int(source_total)), Digest(int(warehouse), int(total)), checked_at)
        for bucket, source, source_total, warehouse, total, checked_at in rows
    }


def read_results(run: Run, tables: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Return the numbers of each table's last comparison."""
    newest = "qualify row_number() over (partition by source_name, table_name order by compared_at desc) = 1"
    query = f"select {TABLE_ID}, result from daybreak.reconciliations where {TABLE_ID} in ({run.dialect.members('tables')}) {newest}"
    return {table: json.loads(result) for table, result in run(query, tables=list(tables))}


def record_parity(run: Run, spec: TableSpec, result: ParityResult, buckets: ComparedBuckets) -> None:
    """Replace the buckets that were hashed, drop those that are gone, and add a row to the log.

    A day that differs keeps no digest: what it has is not what was read, so a load of what was read then would be none.
    """
    names = names_of(spec)
    to = run.dialect
    gone = f"bucket not in ({to.members('kept')}) or bucket in ({to.members('hashed')})"
    run(f"delete from daybreak.parity where {OF_TABLE} and ({gone})", **names, kept=sorted(buckets.kept), hashed=sorted(buckets.hashed))
    if buckets.hashed:
        counts, digests = ("source_rows", "warehouse_rows"), ("bucket", "source_digest", "warehouse_digest")
        columns = {**dict.fromkeys(counts, "bigint"), **dict.fromkeys(digests, "varchar"), "checked_at": to.type_of(INSTANT)}
        rows = [
            (one.source.rows, one.warehouse.rows, name, str(one.source.total), str(one.warehouse.total), one.checked_at)
            for name, one in buckets.hashed.items()
        ]
        run(
            f"insert into daybreak.parity (source_name, table_name, {', '.join(columns)}) "
            f"select $source, $table, {', '.join(columns)} from ({to.rows('rows', columns)}) given",
            **names,
            rows=as_rows(rows),
        )
    if result.outcome != "equal":
        voided = f"update daybreak.windows set digest = '' where {OF_TABLE}"
        run(f"{voided} and day in ({to.members('days', 'date')})", **names, days=list(result.differing_days))
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
