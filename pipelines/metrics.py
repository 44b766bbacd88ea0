"""What a monitoring system is told: numbers per table, from the mirror alone, so that asking every minute wakes nobody.

Every metric is a gauge of what stands now; its name ends in its unit where it counts no rows or days. Series that can be zero are
always there, so that an alert ends when its cause does; those of a table that was never loaded or compared are not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pipelines.delivery.restated_data import list_restated
from pipelines.gaps import list_gaps
from pipelines.settings import Settings
from pipelines.state.backfills import unfinished_backfills
from pipelines.state.mirror import Mirror
from pipelines.sync.gaps import GapKind
from pipelines.sync.spec import TableSpec

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

# The metrics of a table's last comparison that are a number of it: `daybreak_parity_` and the name in ``ParityResult``.
PARITY = {
    "source_rows": "Rows of the source that the last comparison compared.",
    "warehouse_rows": "Rows of the warehouse that the last comparison compared.",
    "missing": "Rows that the last comparison found in the source and not in the warehouse, and that were not healed.",
    "extra": "Rows that the last comparison found in the warehouse, gone from the source, and that were not deleted.",
    "different": "Rows that the last comparison found with other content in the warehouse, and that were not healed.",
    "kept": "Rows that are gone from the source and stay by declaration (deletes: ignore).",
    "marked": "Rows that are gone from the source and stay with a mark by declaration (deleted_rows: mark).",
    "in_flight": "Rows that the last comparison left out, as they are newer than the last load.",
    "late": "Rows that the last comparison left to the next load, which reads them.",
}
METRICS: Mapping[str, str] = {
    "daybreak_table_rows": "Rows of the raw table after its last load.",
    "daybreak_table_data_age_seconds": "How long ago the warehouse was equal to the source, when this was written.",
    "daybreak_table_data_timestamp_seconds": "When the warehouse was equal to the source, in Unix time.",
    "daybreak_table_held": "1 if the data of the last load did not get in and wait for a person or a mended source, else 0.",
    "daybreak_table_quarantined_open": "Rows that stand in quarantine.",
    **{f"daybreak_parity_{name}": told for name, told in PARITY.items()},
    "daybreak_parity_healed": "Rows that the last comparison healed: how=reread were missing or different and were read again: "
    "back-dated writes are among them; how=deleted were gone from the source.",
    "daybreak_parity_compared_timestamp_seconds": "As of when the table was compared with its source last, in Unix time.",
    "daybreak_gaps": "What should be in the warehouse and is not: days, or 1 for a gap that has no days, by kind (see daybreak gaps).",
    "daybreak_restated_days": "Days that had been committed and were changed again beyond the look-back, in the last seven days.",
    "daybreak_backfill_days_total": "Days of the back-fills that did not come to their end yet.",
    "daybreak_backfill_days_done": "Days of these back-fills that are done.",
    "daybreak_backfill_share": "The share of the time, from 0 to 1, that the back-fill at work reads the source.",
}


@dataclass(frozen=True)
class Sample:
    """One number. ``more`` are labels beside ``table``."""

    metric: str
    table: str
    value: float
    more: Mapping[str, str] = field(default_factory=dict)


def list_samples(settings: Settings, mirror: Mirror, now: datetime | None = None) -> list[Sample]:
    """Return the numbers of every table of the catalog, asking only the mirror."""
    tables = [table for source in settings.sources() for table in source.tables]
    samples = [sample for table in tables for sample in _of_table(mirror, table, now or datetime.now(UTC))]
    return [*samples, *_of_gaps(settings, mirror, tables), *_of_backfills(mirror, tables)]


def make_registry(samples: list[Sample]) -> "CollectorRegistry":
    """Return the samples as the client library knows them; it writes the text, and escapes names."""
    from prometheus_client import CollectorRegistry, Gauge

    registry = CollectorRegistry()
    labels = {sample.metric: ["table", *sample.more] for sample in samples}
    gauges = {name: Gauge(name, told, labels.get(name, ["table"]), registry=registry) for name, told in METRICS.items()}
    for sample in samples:
        gauges[sample.metric].labels(table=sample.table, **sample.more).set(sample.value)
    return registry


def write_text(registry: "CollectorRegistry", file: Path | None = None) -> str:
    """Return the text that Prometheus reads, and put it into ``file``, if one is named, by a rename: nobody reads half of it."""
    from prometheus_client import generate_latest, write_to_textfile

    if file:
        write_to_textfile(str(file), registry)
    return generate_latest(registry).decode()


def _of_table(mirror: Mirror, table: TableSpec, now: datetime) -> Iterator[Sample]:
    status = mirror.status(table.id)
    if status.total_rows is not None:
        yield Sample("daybreak_table_rows", table.id, status.total_rows)
    if status.data_as_of is not None:
        yield Sample("daybreak_table_data_age_seconds", table.id, (now - status.data_as_of).total_seconds())
        yield Sample("daybreak_table_data_timestamp_seconds", table.id, status.data_as_of.timestamp())
    yield Sample("daybreak_table_held", table.id, status.held_reason is not None)
    yield Sample("daybreak_table_quarantined_open", table.id, status.quarantined_open)
    numbers = mirror.parity(table.id)
    if numbers and numbers.get("source_as_of"):
        yield from _of_comparison(table, numbers)


def _of_comparison(table: TableSpec, numbers: Mapping[str, Any]) -> Iterator[Sample]:
    for name in PARITY:
        yield Sample(f"daybreak_parity_{name}", table.id, numbers.get(name) or 0)
    for how in ("reread", "deleted"):
        yield Sample("daybreak_parity_healed", table.id, numbers.get(how) or 0, {"how": how})
    compared_at = datetime.fromisoformat(numbers["source_as_of"]).timestamp()
    yield Sample("daybreak_parity_compared_timestamp_seconds", table.id, compared_at)


def _of_gaps(settings: Settings, mirror: Mirror, tables: list[TableSpec]) -> Iterator[Sample]:
    sizes: dict[tuple[str, str], int] = {(table.id, kind): 0 for table in tables for kind in get_args(GapKind)}
    for gap in list_gaps(settings, mirror):
        sizes[gap.table, gap.kind] += len(gap.days) or 1
    for (table_id, kind), size in sizes.items():
        yield Sample("daybreak_gaps", table_id, size, {"kind": kind})
    days = {table.id: 0 for table in tables if table.partition}
    for one in list_restated(settings, mirror, tables):
        days[one.table] += (one.last - one.first).days + 1
    for table_id, count in days.items():
        yield Sample("daybreak_restated_days", table_id, count)


def _of_backfills(mirror: Mirror, tables: list[TableSpec]) -> Iterator[Sample]:
    going_on = unfinished_backfills(mirror)
    for table in (table for table in tables if table.partition):
        own = [one for one in going_on if one.table_id == table.id]
        yield Sample("daybreak_backfill_days_total", table.id, sum(one.all_days for one in own))
        yield Sample("daybreak_backfill_days_done", table.id, sum(one.done_days for one in own))
        for one in own:
            if one.is_at_work and one.share is not None:
                yield Sample("daybreak_backfill_share", table.id, one.share)
