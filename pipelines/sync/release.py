"""Lets a held load in as it is because a person says so, on the record, as long as the table is where it was when the load was planned."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from pipelines.errors import LoadConflict
from pipelines.landing.held import HeldLoad, list_held, open_held
from pipelines.state.mirror import Mirror
from pipelines.sync import codec
from pipelines.sync.changes import follow_gates
from pipelines.sync.context import Engine
from pipelines.sync.gating import GatedLoad, GateRequest, gate_load
from pipelines.sync.load import ReadyLoad, changed_days, commit_load, digest_load
from pipelines.sync.model import LedgerEntry, LoadPlan
from pipelines.sync.spec import TableSpec

RECENT_LOADS = 200  # of a table, in the mirror: a plan that is older than all of them is not looked for


@dataclass(frozen=True)
class Release:
    """What became of a held load: ``released``, ``superseded`` (the table moved on), or ``refused`` (no person can let it in)."""

    state: Literal["released", "superseded", "refused"]
    told: str
    entry: LedgerEntry | None = None


def release_load(engine: Engine, spec: TableSpec, held: HeldLoad, released_by: str) -> Release:
    """Commit a held load. Rows that must step aside still do, however many; every other gate is overruled.

    Raises ``LoadConflict`` if another run works on the load or the table just now, ``LandingCorrupt`` if its files are damaged.
    """
    _look(engine, spec)
    with open_held(engine.landing, held) as folder:
        if entry := engine.warehouse.find_load(held.plan.load_id):  # a release that died right after its commit
            engine.landing.mark_committed(folder)
            return _end(engine, spec, held, Release("released", "it had been let in already", entry))
        if moved := why_superseded(engine.mirror, spec, held.plan):
            return Release("superseded", moved)
        folder.plan = replace(held.plan, base_load_id=engine.mirror.status(spec.id).load_id)
        changed, same = changed_days(engine, spec, folder.plan, digest_load(engine, spec, folder))
        judged = follow_gates(engine, spec, folder.plan.schema)
        request = GateRequest(judged, folder, engine.gate, engine.time_zone, engine.warehouse.find_misfits, is_released=True)
        gated = gate_load(request)
        if gated.held_reason:
            return Release("refused", gated.held_reason)
        try:
            entry = commit_load(engine, spec, ReadyLoad(folder, gated, changed, same, released_by=released_by))
        except LoadConflict:
            _look(engine, spec)
            if moved := why_superseded(engine.mirror, spec, held.plan):
                return Release("superseded", moved)
            raise  # somebody claimed the table and did not commit
    return _end(engine, spec, held, Release("released", _tell_overruled(held, gated), entry))


def why_superseded(mirror: Mirror, spec: TableSpec, planned: LoadPlan) -> str | None:
    """Say why a load can no longer be let in; None if it can.

    The table must stand where it stood when the load was planned, but for earlier windows of the same sync: a partitioned table
    may have several windows held at once, all planned on one base. Letting them in one after the other, in the order in which
    they were read, is just what the sync would have done without its gates: a row that moved from one window to another while
    they were read ends where it was seen last. In any other order it would end where it was seen first, so that is refused.
    """
    status, known = mirror.status(spec.id), mirror.schema(spec.id)
    if status.load_id != planned.base_load_id and not _has_only_earlier_windows(mirror, planned):
        return f"the table was loaded since, by {status.load_id}"
    if planned.spec_fingerprint != codec.fingerprint(spec):
        return "the table's entry in the catalog changed since"
    if planned.schema_version != status.schema_version + (0 if known == planned.schema else 1):
        return "the table's schema changed since"
    return None


def _has_only_earlier_windows(mirror: Mirror, planned: LoadPlan) -> bool:
    """Whether all rows that were loaded since a plan's base were read before it, in the same sync, which observed the source once."""
    if not (planned.window.days or planned.window.is_null):
        return False
    observed_at = planned.observation.observed_at
    for entry in mirror.last_entries(planned.table, RECENT_LOADS):
        if entry["load_id"] == planned.base_load_id:
            return True
        is_of_this_sync = datetime.fromisoformat(entry["data_as_of"]) == observed_at and not entry["window"].get("keys")
        has_taken_rows = entry["counts"]["read"] > 0  # a window that was empty can hold no row that moved into it
        if not is_of_this_sync or (entry["load_id"] >= planned.load_id and has_taken_rows):
            return False
    return planned.base_load_id is None


def _look(engine: Engine, spec: TableSpec) -> None:
    engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])


def _end(engine: Engine, spec: TableSpec, held: HeldLoad, release: Release) -> Release:
    """Tell the mirror, which goes on to say that the table is held if another window of it still waits."""
    waiting = [other for other in list_held(engine.landing) if other.plan.table == spec.id]
    waiting = [other for other in waiting if why_superseded(engine.mirror, spec, other.plan) is None]
    next_held = (waiting[0].plan.load_id, waiting[0].reason) if waiting else None
    engine.mirror.record_released(spec.id, held.plan.load_id, next_held)
    return release


def _tell_overruled(held: HeldLoad, gated: GatedLoad) -> str:
    aside = f"; {gated.aside} row{'' if gated.aside == 1 else 's'} stepped aside into quarantine" if gated.aside else ""
    return f"overruled: {held.reason}{aside}"
