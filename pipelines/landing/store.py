"""Landed chunks as files: one folder a load, one Parquet file and one manifest record a chunk. State that you can ``ls``.

::

    <landing>/<source>/<table>/<load_id>/plan.json
                                         chunk-000000.parquet
                                         chunk-000000.json      the manifest record, written last
                                         aside-000000.parquet   its rows that stepped aside, once it was gated
                                         held.json              the load was held; it is not gone on with

Each file but ``aside``, which gating writes anew, is whole or not there; a Parquet file without its record does not exist. One record
a file instead of one manifest that grows, because an object store cannot append. The small files, and Parquet files that another
machine shall find, are kept by a ``Shelf``.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import LandingCorrupt
from pipelines.landing.folder import FolderShelf, explaining_full_disk, flush, hash_file
from pipelines.landing.shelf import COMMITTED, HELD, PLAN, Claim, Shelf, StoredLoad, record_name
from pipelines.sync import codec
from pipelines.sync.model import Bound, Chunk, LoadPlan, Part
from pipelines.sync.quarantined import QuarantinedRow
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
    """The files of one load. Only the process that has its claim may write to it."""

    path: Path
    plan: LoadPlan
    chunks: list[Chunk]
    claim: Claim

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
        file = self.path / f"chunk-{number:06d}.parquet"
        temporary = file.with_name(f".{file.name}")
        with explaining_full_disk(self.path):
            with step("land.file"):
                coding = {"compression": "zstd", "compression_level": 1, "use_dictionary": _repeating(rows)}
                pq.write_table(rows, temporary, row_group_size=ROW_GROUP_ROWS, **coding)
                flush(temporary)
                temporary.rename(file)
            chunk = Chunk(number, part, rows.num_rows, file.stat().st_size, hash_file(file), last)
        self.claim.keep_file(chunk)
        with step("land.manifest"):
            self.claim.write(record_name(number), codec.dump(codec.CHUNK, chunk))
        self.chunks.append(chunk)
        return chunk

    def read_chunk(self, chunk: Chunk) -> pa.Table:
        """Return a landed chunk. Raises ``LandingCorrupt`` if the file is not the one that was written."""
        self.verify(chunk)
        return pq.read_table(self.path / chunk.file_name)

    def write_aside(self, chunk: Chunk, slices: Iterable[Sequence[QuarantinedRow]]) -> Path:
        """Write the rows of a chunk that stepped aside beside it, slice by slice; gating a load again writes the file anew."""
        file = self.path / f"aside-{chunk.number:06d}.parquet"
        with explaining_full_disk(self.path), pq.ParquetWriter(file, ASIDE_SCHEMA, compression="zstd") as writer:
            for rows in slices:
                writer.write_table(pa.Table.from_pylist([asdict(row) for row in rows], ASIDE_SCHEMA))
        return file

    def verify(self, chunk: Chunk) -> None:
        """Compare a file with its manifest record."""
        file = self.path / chunk.file_name
        found = hash_file(file) if file.exists() else "no file"
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
        self.claim.delete()


class Landing:
    """The landing of a project: which loads there are, and whose turn it is to write to them."""

    def __init__(self, root: Path, kept_loads: int = KEPT_LOADS, shelf: Shelf | None = None) -> None:
        """Remember the folder that is worked in, and where loads are kept: there, if nothing else is said.

        Of each table the files of ``kept_loads`` ended loads stay.
        """
        self.root, self._kept_loads = root, kept_loads
        self.shelf = shelf or FolderShelf(root)

    def table_folder(self, spec: TableSpec) -> Path:
        """Return where the loads of a table are; names are percent-encoded, so that any identifier is a file name."""
        name = quote(spec.name, safe=" ")
        # A table may be called `..`, and its folder may not.
        return self.root / quote(spec.source, safe="") / (f"%2E{name[1:]}" if name.startswith(".") else name)

    @contextmanager
    def open_load(self, spec: TableSpec, plan: LoadPlan) -> Iterator[LoadFolder]:
        """Make the folder of a new load and claim it."""
        path = self.table_folder(spec) / plan.load_id
        with self.shelf.begin(path, codec.dump(codec.PLAN, plan)) as claim:
            yield LoadFolder(path, plan, [], claim)

    @contextmanager
    def reopen_load(self, spec: TableSpec) -> Iterator[LoadFolder | None]:
        """Yield the newest load that was neither committed nor held nor is being written by a living process, or None."""
        with self._claim_unfinished(spec) as found:
            if found is None:
                yield None
                return
            plan, claim = found
            try:
                folder = LoadFolder(claim.path, plan, _finished_chunks(claim), claim)
            except ValueError:  # records of another version of Daybreak
                claim.delete()
                folder = None
            yield folder

    def find_unfinished(self, spec: TableSpec) -> LoadPlan | None:
        """Return the plan of the load that ``reopen_load`` would yield."""
        with self._claim_unfinished(spec) as found:
            return found[0] if found else None

    @contextmanager
    def _claim_unfinished(self, spec: TableSpec) -> Iterator[tuple[LoadPlan, Claim] | None]:
        """Yield it. A few rows that were being read again are no load to go on with: what a crash left of them is deleted."""
        for load in self.loads(spec):
            if load.is_ended:
                continue
            with self.shelf.claim(load.path) as claim:
                plan = _read_plan(claim) if claim else None
                if claim and plan and plan.window.keys:
                    claim.delete()
                elif claim and plan:
                    yield plan, claim
                    return
        yield None

    def mark_committed(self, folder: LoadFolder) -> None:
        """Note that the ledger has the load; only the newest loads, committed or held, keep their files."""
        folder.claim.write(COMMITTED, "")
        folder.claim.drop([HELD])  # of one that was let in
        self._prune(folder.path.parent)

    def mark_held(self, folder: LoadFolder, reason: str, held_at: datetime) -> None:
        """Keep the files for a person to look at or to let in; the next run reads anew."""
        told = {"reason": reason, "held_at": held_at.isoformat(), "chunks": len(folder.chunks), "rows": folder.rows}
        folder.claim.write(HELD, json.dumps(told))
        self._prune(folder.path.parent)  # also where nothing commits for weeks

    def _prune(self, table_folder: Path) -> None:
        loads = self.shelf.list_loads(table_folder)
        for ending in (COMMITTED, HELD):
            for load in [load for load in loads if ending in load.names][self._kept_loads :]:
                self.delete_load(load)

    def loads(self, spec: TableSpec) -> list[StoredLoad]:
        """Return a table's loads, newest first."""
        return [load for load in self.remains(spec) if load.is_whole]

    def remains(self, spec: TableSpec) -> list[StoredLoad]:
        """Return a table's loads, and what is left of some that were half made or half deleted."""
        return self.shelf.list_loads(self.table_folder(spec))

    def delete_load(self, load: StoredLoad) -> bool:
        """Delete a load unless somebody works on it; return whether it is gone."""
        with self.shelf.claim(load.path) as claim:
            if claim:
                claim.delete()
            return claim is not None

    def is_busy(self, load: StoredLoad) -> bool:
        """Whether a living process works on a load."""
        with self.shelf.claim(load.path) as claim:
            return claim is None


def _read_plan(claim: Claim) -> LoadPlan | None:
    try:
        return codec.PLAN.validate_json(claim.read(PLAN))
    except (FileNotFoundError, ValueError):  # deleted meanwhile, or written by another version of Daybreak
        claim.delete()
        return None


def _finished_chunks(claim: Claim) -> list[Chunk]:
    """Return the finished chunks; from the first gap or damaged file on, nothing exists, and it is read again."""
    with explaining_full_disk(claim.path):
        for leftover in claim.path.glob(".*"):
            leftover.unlink()
    records = claim.records()
    chunks: list[Chunk] = []
    for number, record in enumerate(records.values()):
        chunk = codec.CHUNK.validate_json(record)
        if chunk.number != number or not claim.provide(chunk):
            claim.drop(list(records)[number:])
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
