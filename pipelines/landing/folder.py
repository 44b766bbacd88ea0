"""Loads that are kept in a folder of this machine: one folder a load, the small files beside the Parquet files."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import PrerequisiteError
from pipelines.landing.shelf import PLAN, StoredLoad
from pipelines.sync.model import Chunk


class FolderClaim:
    """A load's folder, locked by this process."""

    def __init__(self, path: Path) -> None:
        """Remember the folder."""
        self.path = path

    def read(self, name: str) -> bytes:
        """See ``Claim``."""
        return (self.path / name).read_bytes()

    def records(self) -> Mapping[str, bytes]:
        """See ``Claim``."""
        return {record.name: record.read_bytes() for record in sorted(self.path.glob("chunk-*.json"))}

    def keep_file(self, chunk: Chunk) -> None:
        """See ``Claim``: it is where it is kept."""

    def write(self, name: str, text: str) -> None:
        """See ``Claim``: nobody else can have written it."""
        with explaining_full_disk(self.path):
            temporary = self.path / f".{name}"
            temporary.write_text(text, encoding="utf-8")
            flush(temporary)
            temporary.rename(self.path / name)
            flush(self.path)

    def drop(self, names: Iterable[str]) -> None:
        """See ``Claim``."""
        with explaining_full_disk(self.path):
            for name in names:
                (self.path / name).unlink(missing_ok=True)

    def provide(self, chunk: Chunk) -> bool:
        """See ``Claim``."""
        file = self.path / chunk.file_name
        return file.exists() and hash_file(file) == chunk.sha256

    def delete(self) -> None:
        """See ``Claim``."""
        shutil.rmtree(self.path, ignore_errors=True)


class FolderShelf:
    """The landing folder of this machine. A load is claimed by an advisory lock on its plan, which ends with the process."""

    def __init__(self, root: Path) -> None:
        """Remember the folder; it is made when the first load lands."""
        self._root = root

    def list_loads(self, within: Path) -> list[StoredLoad]:
        """See ``Shelf``."""
        paths = within.glob("*/*/*" if within == self._root else "*")
        found = (_look_at(path) for path in paths if not path.name.startswith(".") and path.is_dir())
        return sorted((load for load in found if load), key=lambda load: load.load_id, reverse=True)

    def read(self, load: StoredLoad, name: str) -> bytes:
        """See ``Shelf``."""
        return (load.path / name).read_bytes()

    @contextmanager
    def begin(self, path: Path, plan: str) -> Iterator[FolderClaim]:
        """See ``Shelf``."""
        with explaining_full_disk(self._root):
            held = _make_locked(path, plan)
        try:
            yield FolderClaim(path)
        finally:
            os.close(held)

    @contextmanager
    def claim(self, path: Path) -> Iterator[FolderClaim | None]:
        """See ``Shelf``. A load without a plan is half made, and nobody's."""
        try:
            held = os.open(path / PLAN, os.O_RDONLY)
        except FileNotFoundError:
            yield FolderClaim(path)
            return
        try:
            yield FolderClaim(path) if lock(held) else None
        finally:
            os.close(held)

    def sweep(self, before: datetime) -> int:
        """See ``Shelf``. Folders of tables and sources that are empty go too."""
        gone = 0
        for half_made in self._root.glob("*/*/.*"):
            if half_made.is_dir() and half_made.stat().st_mtime < before.timestamp():
                with self.claim(half_made) as claim:
                    if claim:
                        claim.delete()
                        gone += 1
        for folder in (*self._root.glob("*/*"), *self._root.glob("*")):
            with suppress(OSError):  # there is something in it, or it is a file
                os.rmdir(folder)
        return gone


def lock(descriptor: int) -> bool:
    """Take an advisory lock that ends with the process, unless another one has it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def explaining_full_disk(folder: Path) -> Iterator[None]:
    """Tell an error of the file system as one of ours."""
    try:
        yield
    except OSError as error:
        raise PrerequisiteError(
            [f"The landing folder {folder} cannot be written: {error.strerror or error}."],
            safe="Nothing was lost: what was committed stands, and finished chunks are kept.",
            remedy="Free space or mend its permissions (DAYBREAK_LANDING_URL), and run again.",
        ) from error


def flush(path: Path) -> None:
    """Have the disk keep what was written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def hash_file(file: Path) -> str:
    """Return the SHA-256 of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _look_at(path: Path) -> StoredLoad | None:
    try:
        names = frozenset(entry.name for entry in os.scandir(path) if not entry.name.endswith(".parquet"))
        begun = (path / PLAN if PLAN in names else path).stat().st_mtime
    except FileNotFoundError:  # it was deleted meanwhile
        return None
    return StoredLoad(path, names, datetime.fromtimestamp(begun, UTC))


def _make_locked(path: Path, told: str) -> int:
    """Make the folder of a load, which nobody ever sees without its plan or unlocked: whoever looks would go on with it or delete it.

    Returns what holds the lock.
    """
    hidden = path.with_name(f".{path.name}")
    hidden.mkdir(parents=True, exist_ok=False)
    file = hidden / PLAN
    file.touch()
    # For reading alone: a file that is open for writing would keep a file system from being mounted read-only.
    held = os.open(file, os.O_RDONLY)
    try:
        lock(held)
        file.write_text(told, encoding="utf-8")
        flush(file)
        flush(hidden)
        hidden.rename(path)
        flush(path.parent)
    except BaseException:
        os.close(held)
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return held
