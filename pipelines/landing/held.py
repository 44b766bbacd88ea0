"""Held loads: what a gate kept out and whose files still stand in the landing, to be looked at or let in.

Marking a load as held is its folder's (``store``); whether it may still be let in is the engine's to say (``sync.release``).
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pipelines.errors import LandingCorrupt, LoadConflict
from pipelines.landing.shelf import HELD, PLAN, StoredLoad
from pipelines.landing.store import Landing, LoadFolder
from pipelines.sync import codec
from pipelines.sync.model import LoadPlan


@dataclass(frozen=True)
class HeldLoad:
    """A load that a gate kept out and whose files are still here."""

    path: Path
    plan: LoadPlan
    chunks: int
    rows: int
    reason: str
    held_at: datetime


def list_held(landing: Landing) -> list[HeldLoad]:
    """Return the held loads of every table, oldest first; what another version wrote is left out."""
    held = [load for load in landing.shelf.list_loads(landing.root) if load.is_held]
    found = (_read_held(landing, load) for load in sorted(held, key=lambda load: load.load_id))
    return [load for load in found if load]


@contextmanager
def open_held(landing: Landing, held: HeldLoad) -> Iterator[LoadFolder]:
    """Yield the folder of a held load, claimed.

    Raises ``LoadConflict`` if somebody else has it or it is gone, ``LandingCorrupt`` if a part of it is missing or damaged: what is
    left would look like a smaller load, and the watermark would pass the rest by.
    """
    with landing.shelf.claim(held.path) as claim:
        try:
            is_mine = claim is not None and bool(claim.read(HELD))
        except FileNotFoundError:
            is_mine = False
        if claim is None or not is_mine:
            raise LoadConflict(
                "another run works on this load, or has ended it.",
                safe="Nothing was changed.",
                remedy="Look at `daybreak quarantine list` again.",
                table=held.plan.table,
                load_id=held.plan.load_id,
            )
        chunks = [codec.CHUNK.validate_json(record) for record in claim.records().values()]
        if [chunk.number for chunk in chunks] != list(range(held.chunks)):
            raise _corrupt(held, f"{len(chunks)} of its {held.chunks} manifest records are there.")
        if damaged := [chunk.file_name for chunk in chunks if not claim.provide(chunk)]:
            raise _corrupt(held, f"{len(damaged)} of its {held.chunks} files are missing or altered, the first is {damaged[0]}.")
        yield LoadFolder(held.path, held.plan, chunks, claim)


def _corrupt(held: HeldLoad, what: str) -> LandingCorrupt:
    return LandingCorrupt(
        what,
        safe="Nothing was loaded from it; the last load stands.",
        remedy="It cannot be let in. The next sync reads the table anew.",
        table=held.plan.table,
        load_id=held.plan.load_id,
    )


def _read_held(landing: Landing, load: StoredLoad) -> HeldLoad | None:
    try:
        told = json.loads(landing.shelf.read(load, HELD))
        plan = codec.PLAN.validate_json(landing.shelf.read(load, PLAN))
        return HeldLoad(load.path, plan, told["chunks"], told["rows"], told["reason"], datetime.fromisoformat(told["held_at"]))
    except (ValueError, KeyError, FileNotFoundError):  # of another version, or ended while it was looked for
        return None
