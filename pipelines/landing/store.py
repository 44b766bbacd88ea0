"""Landed chunks as files: one folder a load, one Parquet file and one manifest record a chunk. State that you can ``ls``.

::

    <landing>/<source>/<table>/<load_id>/plan.json
                                         chunk-000000.parquet
                                         chunk-000000.json      the manifest record, written last
                                         aside-000000.parquet   its rows that stepped aside, once it was gated
                                         held.json              the load was held; it is not gone on with

Each file but ``aside``, which gating writes anew, is written under another name, flushed to disk and renamed, so it is whole or
not there; a Parquet file without its record does not exist. One record a file instead of one manifest that grows, because an
object store cannot append.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LandingCorrupt, PrerequisiteError
from pipelines.sync import codec
from pipelines.sync.model import Bound, Chunk, LoadPlan, Part, QuarantinedRow
from pipelines.sync.spec import TableSpec
from pipelines.sync.steps import step

# DuckDB stores 122,880 rows together; 131,072 doubled its file and tripled its memory (measured on 5M rows).
ROW_GROUP_ROWS = 122_880
ASIDE_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("key", pa.string()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("original", pa.string()),
        ("day", pa.date32()),
    ]
)
KEPT_LOADS = 3  # committed loads whose files stay, for a look at what was read


@dataclass
class LoadFolder:
    """The files of one load. Only the process that holds its lock may write to it."""

    path: Path
    plan: LoadPlan
    chunks: list[Chunk]

    @property
    def files(self) -> list[Path]:
        """The Parquet files, in the order they were read."""
        return [self.path / chunk.file_name for chunk in self.chunks]

    @property
    def rows(self) -> int:
        """Rows landed so far."""
        return sum(chunk.rows for chunk in self.chunks)

    def add_chunk(self, rows: pa.Table, part: Part, last: Bound | None) -> Chunk:
        """Write ``rows`` as the next chunk, and its manifest record last."""
        number = len(self.chunks)
        name = f"chunk-{number:06d}"
        temporary = self.path / f".{name}.parquet"
        with _explaining_full_disk(self.path):
            with step("land.file"):
                coding = {"compression": "zstd", "compression_level": 1, "use_dictionary": _repeating(rows)}
                pq.write_table(rows, temporary, row_group_size=ROW_GROUP_ROWS, **coding)
                _flush(temporary)
                temporary.rename(self.path / f"{name}.parquet")
            digest = _sha256(self.path / f"{name}.parquet")
            size = (self.path / f"{name}.parquet").stat().st_size
            chunk = Chunk(number, part, rows.num_rows, size, digest, last)
            with step("land.manifest"):
                _write_whole(self.path / f"{name}.json", codec.dump(codec.CHUNK, chunk))
        self.chunks.append(chunk)
        return chunk

    def read_chunk(self, chunk: Chunk) -> pa.Table:
        """Return a landed chunk. Raises ``LandingCorrupt`` if the file is not the one that was written."""
        self.verify(chunk)
        return pq.read_table(self.path / chunk.file_name)

    def write_aside(self, chunk: Chunk, slices: Iterable[Sequence[QuarantinedRow]]) -> Path:
        """Write the rows of a chunk that stepped aside beside it, slice by slice; gating a load again writes the file anew."""
        file = self.path / f"aside-{chunk.number:06d}.parquet"
        with _explaining_full_disk(self.path), pq.ParquetWriter(file, ASIDE_SCHEMA, compression="zstd") as writer:
            for rows in slices:
                writer.write_table(pa.Table.from_pylist([asdict(row) for row in rows], ASIDE_SCHEMA))
        return file

    def verify(self, chunk: Chunk) -> None:
        """Compare a file with its manifest record."""
        file = self.path / chunk.file_name
        found = _sha256(file) if file.exists() else "no file"
        if found != chunk.sha256:
            raise LandingCorrupt(
                f"landed file {file} is {found[:12]}, its manifest says {chunk.sha256[:12]}.",
                safe="Nothing was loaded from it; the last load stands.",
                remedy=f"Delete the folder {self.path} and run again: it is read anew.",
                table=self.plan.table,
                load_id=self.plan.load_id,
            )

    def discard(self) -> None:
        """Delete the load's files: nothing in them is new."""
        shutil.rmtree(self.path, ignore_errors=True)


class Landing:
    """The landing folder of a project."""

    def __init__(self, root: Path, kept_loads: int = KEPT_LOADS) -> None:
        """Remember the folder; it is made when the first load lands. Of each table the files of ``kept_loads`` ended loads stay."""
        self.root, self._kept_loads = root, kept_loads

    def table_folder(self, spec: TableSpec) -> Path:
        """Return where the loads of a table are; names are percent-encoded, so that any identifier is a file name."""
        name = quote(spec.name, safe=" ")
        # A table may be called `..`, and its folder may not.
        return self.root / quote(spec.source, safe="") / (f"%2E{name[1:]}" if name.startswith(".") else name)

    @contextmanager
    def open_load(self, spec: TableSpec, plan: LoadPlan) -> Iterator[LoadFolder]:
        """Make the folder of a new load and hold its lock."""
        path = self.table_folder(spec) / plan.load_id
        with _explaining_full_disk(self.root):
            held = _make_locked(path, codec.dump(codec.PLAN, plan))
        try:
            yield LoadFolder(path, plan, [])
        finally:
            os.close(held)

    @contextmanager
    def reopen_load(self, spec: TableSpec) -> Iterator[LoadFolder | None]:
        """Yield the newest load that was neither committed nor held nor is being written by a living process, or None.

        A few rows that were being read again are no load to go on with: what a crash left of them is deleted.
        """
        for path in self.loads(spec):
            if (path / "held.json").exists() or (path / "committed").exists() or not (path / "plan.json").exists():
                continue
            with locked(path / "plan.json") as is_mine:
                if is_mine and path.exists():
                    try:
                        with _explaining_full_disk(path):  # leftovers are deleted
                            folder = LoadFolder(path, codec.PLAN.validate_json((path / "plan.json").read_bytes()), _manifest(path))
                    except ValueError:  # written by another version of Daybreak
                        shutil.rmtree(path, ignore_errors=True)
                        continue
                    if folder.plan.window.keys:
                        folder.discard()
                        continue
                    yield folder
                    return
        yield None

    def mark_committed(self, folder: LoadFolder) -> None:
        """Note that the ledger has the load; only the newest loads, committed or held, keep their files."""
        with _explaining_full_disk(folder.path):
            (folder.path / "held.json").unlink(missing_ok=True)  # one that was let in
            (folder.path / "committed").touch()
        self._prune(folder.path.parent)

    def mark_held(self, folder: LoadFolder, reason: str, held_at: datetime) -> None:
        """Keep the files for a person to look at or to let in; the next run reads anew."""
        told = {"reason": reason, "held_at": held_at.isoformat(), "chunks": len(folder.chunks), "rows": folder.rows}
        with _explaining_full_disk(folder.path):
            _write_whole(folder.path / "held.json", json.dumps(told))
        self._prune(folder.path.parent)  # also where nothing commits for weeks

    def _prune(self, loads: Path) -> None:
        for ending in ("committed", "held.json"):
            ended = sorted(path for path in loads.iterdir() if (path / ending).exists())
            for path in ended[: -self._kept_loads]:
                delete_load(path)

    def loads(self, spec: TableSpec) -> list[Path]:
        """Return the folders of a table's loads, newest first; one that is being made is none yet."""
        folder = self.table_folder(spec)
        return sorted((path for path in folder.iterdir() if not path.name.startswith(".")), reverse=True) if folder.exists() else []


def _manifest(path: Path) -> list[Chunk]:
    """Return the finished chunks; from the first gap or damaged file on, nothing exists, and it is read again."""
    for leftover in path.glob(".*"):
        leftover.unlink()
    records = sorted(path.glob("chunk-*.json"))
    chunks: list[Chunk] = []
    for number, record in enumerate(records):
        chunk = codec.CHUNK.validate_json(record.read_bytes())
        file = path / chunk.file_name
        if chunk.number != number or not file.exists() or _sha256(file) != chunk.sha256:
            for beyond in records[number:]:
                beyond.unlink()
            break
        chunks.append(chunk)
    return chunks


def _repeating(rows: pa.Table) -> list[str] | bool:
    """Return the columns whose values repeat: a dictionary on others costs time and saves nothing."""
    sample = rows.slice(0, 5000)
    if sample.num_rows < 100:
        return True
    strings = [field.name for field in rows.schema if pa.types.is_string(field.type)]
    return [name for name in strings if len(sample.column(name).unique()) < sample.num_rows / 10]


def delete_load(load: Path) -> bool:
    """Delete a load's folder unless somebody works on it; return whether it is gone."""
    with locked(load / "plan.json") as is_mine:
        if not is_mine and (load / "plan.json").exists():
            return False
        shutil.rmtree(load, ignore_errors=True)
        return not load.exists()


@contextmanager
def locked(file: Path) -> Iterator[bool]:
    """Hold an advisory lock that ends with the process; yields False if another one holds it."""
    try:
        descriptor = os.open(file, os.O_RDONLY)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(descriptor)


@contextmanager
def _explaining_full_disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise PrerequisiteError(
            [f"The landing folder {folder} cannot be written: {error.strerror or error}."],
            safe="Nothing was lost: what was committed stands, and finished chunks are kept.",
            remedy="Free space or mend its permissions (DAYBREAK_LANDING_URL), and run again.",
        ) from error


def _make_locked(path: Path, told: str) -> int:
    """Make the folder of a load, which nobody ever sees without its plan or unlocked: whoever looks would go on with it or delete it.

    Returns what holds the lock.
    """
    hidden = path.with_name(f".{path.name}")
    hidden.mkdir(parents=True, exist_ok=False)
    file = hidden / "plan.json"
    file.touch()
    # For reading alone: a file that is open for writing would keep a file system from being mounted read-only.
    held = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.write_text(told, encoding="utf-8")
        _flush(file)
        _flush(hidden)
        hidden.rename(path)
        _flush(path.parent)
    except BaseException:
        os.close(held)
        shutil.rmtree(hidden, ignore_errors=True)
        raise
    return held


def _write_whole(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}")
    temporary.write_text(text, encoding="utf-8")
    _flush(temporary)
    temporary.rename(file)
    _flush(file.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
