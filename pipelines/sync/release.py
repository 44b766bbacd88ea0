"""Lets a held load in as it is because a person says so, on the record, as long as the table is where it was when the load was planned."""

from dataclasses import dataclass
from typing import Literal

from pipelines.errors import LoadConflict
from pipelines.landing.store import HeldLoad
from pipelines.state.mirror import Mirror
from pipelines.sync import codec
from pipelines.sync.context import Engine
from pipelines.sync.gating import GateRequest, gate_load
from pipelines.sync.load import ReadyLoad, changed_days, commit_load, digest_load
from pipelines.sync.model import LedgerEntry, LoadPlan
from pipelines.sync.spec import TableSpec


@dataclass(frozen=True)
class Release:
    """What became of a held load: ``released``, ``superseded`` (the table moved on), or ``refused`` (no person can let it in)."""

    state: Literal["released", "superseded", "refused"]
    told: str
    entry: LedgerEntry | None = None


def release_load(engine: Engine, spec: TableSpec, held: HeldLoad, released_by: str) -> Release:
    """Commit a held load. Rows that must step aside still do, however many; every other gate is overruled.

    Raises ``LoadConflict`` if another run works on the load just now.
    """
    if engine.warehouse.is_free_to_ask:
        engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
    if moved := why_superseded(engine.mirror, spec, held.plan):
        return Release("superseded", moved)
    with engine.landing.open_held(held) as folder:
        changed, same = changed_days(engine, spec, folder.plan, digest_load(engine, spec, folder))
        gated = gate_load(GateRequest(spec, folder, engine.gate, engine.time_zone, is_released=True))
        if gated.held_reason:
            return Release("refused", gated.held_reason)
        try:
            entry = commit_load(engine, spec, ReadyLoad(folder, gated, changed, same, released_by=released_by))
        except LoadConflict:
            return Release("superseded", "another run loaded the table meanwhile")
    engine.mirror.record_released(spec.id, held.plan.load_id)
    return Release("released", f"released by {released_by}", entry)


def why_superseded(mirror: Mirror, spec: TableSpec, planned: LoadPlan) -> str | None:
    """Say why a load can no longer be let in; None if it can."""
    status, known = mirror.status(spec.id), mirror.schema(spec.id)
    if status.load_id != planned.base_load_id:
        return f"the table was loaded since, by {status.load_id}"
    if planned.spec_fingerprint != codec.fingerprint(spec):
        return "the table's entry in the catalog changed since"
    if planned.schema_version != status.schema_version + (0 if known == planned.schema else 1):
        return "the table's schema changed since"
    return None
