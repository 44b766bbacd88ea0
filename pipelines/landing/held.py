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
from pipelines.landing.store import LoadFolder, locked
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


def list_held(root: Path) -> list[HeldLoad]:
    """Return the held loads of every table under the landing folder, oldest first; what another version wrote is left out."""
    marks = sorted(root.glob("*/*/*/held.json"), key=lambda mark: mark.parent.name)
    return [held for held in map(_read_held, marks) if held]


@contextmanager
def open_held(held: HeldLoad) -> Iterator[LoadFolder]:
    """Yield the folder of a held load, locked.

    Raises ``LoadConflict`` if somebody else has it or it is gone, ``LandingCorrupt`` if a part of it is missing: what is left
    would look like a smaller load, and the watermark would pass the rest by.
    """
    with locked(held.path / "plan.json") as is_mine:
        if not is_mine or not (held.path / "held.json").exists():
            raise LoadConflict(
                "another run works on this load, or has ended it.",
                safe="Nothing was changed.",
                remedy="Look at `daybreak quarantine list` again.",
                table=held.plan.table,
                load_id=held.plan.load_id,
            )
        chunks = [codec.CHUNK.validate_json(record.read_bytes()) for record in sorted(held.path.glob("chunk-*.json"))]
        if [chunk.number for chunk in chunks] != list(range(held.chunks)):
            raise LandingCorrupt(
                f"{len(chunks)} of its {held.chunks} manifest records are in {held.path}.",
                safe="Nothing was loaded from it; the last load stands.",
                remedy="It cannot be let in. The next sync reads the table anew.",
                table=held.plan.table,
                load_id=held.plan.load_id,
            )
        yield LoadFolder(held.path, held.plan, chunks)


def _read_held(mark: Path) -> HeldLoad | None:
    try:
        told = json.loads(mark.read_bytes())
        plan = codec.PLAN.validate_json((mark.parent / "plan.json").read_bytes())
        return HeldLoad(mark.parent, plan, told["chunks"], told["rows"], told["reason"], datetime.fromisoformat(told["held_at"]))
    except (ValueError, KeyError, FileNotFoundError):  # of another version, or ended while it was looked for
        return None
