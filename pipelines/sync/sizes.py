"""What a load's size is compared with: earlier loads of the same kind or, for a partitioned table, earlier days."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.sync.context import Engine
from pipelines.sync.model import DayDigest, LoadPlan
from pipelines.sync.protocols import LoadSize
from pipelines.sync.spec import TableSpec

KEPT_SIZES = 100


def sizes_of(
    engine: Engine, spec: TableSpec, planned: LoadPlan, digests: Sequence[DayDigest]
) -> tuple[Sequence[LoadSize], Sequence[LoadSize]]:
    """Return the sizes of a load, and those it may be compared with, oldest first.

    A first incremental load and a later one are of different kinds, so nothing is compared with a first one.
    """
    if spec.partition:
        sizes = [LoadSize(digest.day, digest.rows) for digest in digests if digest.day]
        mine = {size.day for size in sizes}
        past = sorted((day, digest.rows) for day, digest in engine.mirror.days(spec.id).items() if day and day not in mine)
        return sizes, [LoadSize(day, rows) for day, rows in past]
    size = LoadSize(None, sum(digest.rows for digest in digests))
    if spec.mode == "incremental" and planned.window.lower is None:
        return [size], []
    entries = reversed(engine.mirror.last_entries(spec.id, KEPT_SIZES))
    return [size], [LoadSize(None, entry["counts"]["read"]) for entry in entries if _is_comparable(spec, entry)]


def _is_comparable(spec: TableSpec, entry: Mapping[str, Any]) -> bool:
    window = entry["window"]
    if entry["mode"] != spec.mode or window.get("keys") or window.get("columns"):
        return False
    return spec.mode == "snapshot" or window["lower"] is not None
