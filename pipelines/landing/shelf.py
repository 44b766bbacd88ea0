"""Where loads are kept: what any place for them must promise.

There are two: a folder of this machine (``folder``), and a bucket that all machines share (``bucket_shelf``). What is kept of a load
are its Parquet files and a few small files that say what they are: the plan, a record for each chunk, and how it ended. Parquet files
are always written, judged and loaded in a folder of this machine, whatever the place.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from pipelines.sync.model import Chunk

PLAN = "plan.json"
COMMITTED = "committed"  # the ledger has the load
HELD = "held.json"  # a gate kept it out; it is not gone on with


def record_name(number: int) -> str:
    """Return the name of a chunk's manifest record."""
    return f"chunk-{number:06d}.json"


def is_record(name: str) -> bool:
    """Whether a small file is a manifest record."""
    return name.startswith("chunk-")


@dataclass(frozen=True)
class StoredLoad:
    """A load as it was found. ``path`` is its working folder, there or not; ``names`` are its small files."""

    path: Path
    names: frozenset[str]
    begun_at: datetime

    @property
    def load_id(self) -> str:
        """The load's id."""
        return self.path.name

    @property
    def is_whole(self) -> bool:
        """Whether it has a plan; what has none is half made or half deleted."""
        return PLAN in self.names

    @property
    def is_held(self) -> bool:
        """Whether it waits for a person."""
        return HELD in self.names and COMMITTED not in self.names

    @property
    def is_ended(self) -> bool:
        """Whether nothing is read for it any more."""
        return bool(self.names & {COMMITTED, HELD})


class Claim(Protocol):
    """The right to change one load. It ends with the process, however that ends."""

    path: Path

    def read(self, name: str) -> bytes:
        """Return a small file. Raises ``FileNotFoundError``."""

    def records(self) -> Mapping[str, bytes]:
        """Return the manifest records by name, in order."""

    def keep_file(self, chunk: Chunk) -> None:
        """Keep a chunk's Parquet file, which is whole in the working folder. MUST be done before its record is written."""

    def write(self, name: str, text: str) -> None:
        """Write a small file, whole or not at all. MUST raise ``LoadConflict`` if somebody else wrote another one of that name."""

    def drop(self, names: Iterable[str]) -> None:
        """Delete small files, those that there are."""

    def provide(self, chunk: Chunk) -> bool:
        """Have a chunk's file in the working folder; whether it is the one of its record."""

    def delete(self) -> None:
        """Delete all of the load, here and where it is kept; one that is half deleted MUST not look like a load."""


class Shelf(Protocol):
    """A place for loads. MUST NOT show a load that is being made before its plan is there and it is claimed."""

    def list_loads(self, within: Path) -> list[StoredLoad]:
        """Return the loads of a table's folder, or of the whole landing, newest first; half made and half deleted ones too."""

    def read(self, load: StoredLoad, name: str) -> bytes:
        """Return a small file of a load. Raises ``FileNotFoundError``."""

    def begin(self, path: Path, plan: str) -> AbstractContextManager[Claim]:
        """Make a load."""

    def claim(self, path: Path) -> AbstractContextManager[Claim | None]:
        """Take a load that is there, or has just gone; None if a living process has it."""

    def sweep(self, before: datetime) -> int:
        """Delete what was half made before an instant and is no load; return how much that was."""
