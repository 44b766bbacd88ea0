"""Read and land: chunks come from the source in short transactions and go to Parquet, each with its manifest record.

A load that is gone on with starts each part behind its last landed chunk, so at most one chunk is read twice.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from pipelines.landing.store import LoadFolder
from pipelines.state.mirror import Attempt, Mirror
from pipelines.sync.context import Engine
from pipelines.sync.land import mask
from pipelines.sync.model import LoadPlan, Part
from pipelines.sync.protocols import ReadRequest, SourceChunk
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step

# A snapshot or a day that is gone on with later would mix rows of very different times, and late rows could be missed.
RESUMABLE_FOR = timedelta(days=1)
MOST_LOADS_BETWEEN = 100  # that are looked through for what they touched


@contextmanager
def open_folder(engine: Engine, spec: TableSpec, planned: LoadPlan) -> Iterator[LoadFolder]:
    """Yield the folder of an unfinished load if it still fits, else a new one."""
    with engine.landing.reopen_load(spec) as unfinished:
        if unfinished and _still_fits(engine, spec, unfinished.plan, planned):
            yield unfinished
            return
        if unfinished:
            unfinished.discard()
    with engine.landing.open_load(spec, planned) as folder:
        yield folder


def _still_fits(engine: Engine, spec: TableSpec, unfinished: LoadPlan, planned: LoadPlan) -> bool:
    """Whether the landed chunks are of the same entry, base and shape, so that reading on gives the same load.

    A cursor window keeps the bounds and the observation of its own plan: what came later belongs to the next load.
    """
    if unfinished.is_stream or planned.is_stream:
        return False
    if (planned.window.days or planned.window.column is None) and planned.planned_at - unfinished.planned_at > RESUMABLE_FOR:
        return False
    old, new = unfinished.window, planned.window
    is_same_start = (old.column, old.lower, old.is_null, old.columns) == (new.column, new.lower, new.is_null, new.columns)
    is_same_window = old == new or (not old.days and not new.days and is_same_start)
    is_same_base = unfinished.base_load_id == planned.base_load_id or (planned.is_asked and is_untouched(engine.mirror, spec, unfinished))
    return is_same_window and is_same_base and _stands_on(unfinished) == _stands_on(planned)


def _stands_on(plan: LoadPlan) -> tuple[object, ...]:
    return plan.spec_fingerprint, plan.mask_key_id, plan.schema.shape


def is_untouched(mirror: Mirror, spec: TableSpec, planned: LoadPlan) -> bool:
    """Whether all that was committed since a load of asked days was planned is of other days, and of the same schema.

    Then what was read of these days is as good as it was, and a live sync that never pauses cannot keep a back-fill from its end.
    """
    if not planned.is_asked or not planned.window.days:
        return False
    ours = {day.isoformat() for day in planned.window.days}
    for entry in mirror.last_entries(spec.id, MOST_LOADS_BETWEEN):
        if entry["load_id"] == planned.base_load_id:
            return True
        theirs = entry["window"].get("days", ())
        if not theirs or not ours.isdisjoint(theirs) or entry["schema_version"] != planned.schema_version:
            return False
    return False


def read_and_land(engine: Engine, spec: TableSpec, folder: LoadFolder, attempt: Attempt) -> None:
    """Land every row of the load's window that is not landed yet."""
    for part in _parts(spec, folder.plan):
        landed = [chunk for chunk in folder.chunks if chunk.part == part]
        if landed and landed[-1].last is None:
            continue
        max_rows = min(engine.chunk_rows, engine.throttle.max_rows or engine.chunk_rows)
        after = landed[-1].last if landed else None
        request = ReadRequest(spec, folder.plan.schema, folder.plan.window, part, after, max_rows, engine.chunk_bytes)
        for chunk in _chunks(engine, request):
            if chunk.rows.num_rows == 0:
                continue
            with step("land.chunk"):
                folder.add_chunk(mask(spec, chunk.rows, engine.mask_key), part, chunk.last)
            attempt.note("read", folder.rows)
            engine.progress(spec, "read", folder.rows)


def _chunks(engine: Engine, request: ReadRequest) -> Iterator[SourceChunk]:
    if request.part == "stream":  # one query: the source is left alone before it, and between the windows of a back-fill
        with engine.throttle.reading() as served:
            for chunk in engine.source.read_stream(request):
                served.rows += chunk.rows.num_rows
                yield chunk
        return
    after, is_done = request.after, False
    while not is_done:
        with engine.throttle.reading() as served, step("read.chunk"):
            chunk = engine.source.read_chunk(replace(request, after=after))
            served.rows, served.is_whole = chunk.rows.num_rows, chunk.last is not None
        yield chunk
        after, is_done = chunk.last, chunk.last is None


def _parts(spec: TableSpec, planned: LoadPlan) -> tuple[Part, ...]:
    """Return what is read: the window, then rows that have no place in it, then rows without a whole key."""
    if planned.is_stream:
        return ("stream",)
    if planned.window.keys or planned.window.columns:
        return ("window",)
    parts: list[Part] = ["window"]
    if spec.cursor:
        parts.append("null_cursor")
    if any(planned.schema.column(name).is_nullable for name in spec.key):
        parts.append("null_key")
    return tuple(parts)
