"""Loads that are kept in a bucket, so that a machine can go on with what another one began.

::

    loads/<source>/<table>/<load_id>/owner.json          whose turn it is (``lease``): written first, deleted last
                                     plan.json           without it there is no load
                                     chunk-000000.json   the manifest record, written after its file
                                     held.json, committed
    chunks/<source>/<table>/<load_id>/chunk-000000.<start of its SHA-256>.parquet

A file's name has its hash in it, so two machines at one load never write over each other's, and the record says whose counts. Loads
are found by listing ``loads/`` alone; what is below ``chunks/`` is listed only to delete it.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pipelines.errors import LoadConflict
from pipelines.landing.bucket import Bucket
from pipelines.landing.folder import FolderClaim, FolderShelf, explaining_full_disk, lock
from pipelines.landing.lease import OWNER, Lease, identify_place, take_lease
from pipelines.landing.shelf import COMMITTED, HELD, PLAN, StoredLoad
from pipelines.sync.model import Chunk
from pipelines.sync.steps import step

PARALLEL_READS = 8  # of records, which are small


class BucketClaim:
    """A load in a bucket, and its folder here: this process has both."""

    def __init__(self, bucket: Bucket, lease: Lease, folder: FolderClaim, name: str) -> None:
        """Remember them; ``name`` is the load's, below ``loads/`` and ``chunks/``."""
        self.path = folder.path
        self.is_over = False  # it ended, so nothing of it is worked on here any more
        self._bucket, self._lease, self._folder = bucket, lease, folder
        self._loads, self._chunks = f"loads/{name}/", f"chunks/{name}/"

    def read(self, name: str) -> bytes:
        """See ``Claim``."""
        return _read(self._bucket, self._loads + name)

    def records(self) -> Mapping[str, bytes]:
        """See ``Claim``."""
        names = sorted(name.removeprefix(self._loads) for name, _ in self._bucket.list(f"{self._loads}chunk-"))
        with ThreadPoolExecutor(PARALLEL_READS, thread_name_prefix="records") as pool:
            return dict(zip(names, pool.map(self.read, names), strict=True))

    def keep_file(self, chunk: Chunk) -> None:
        """See ``Claim``. What another machine has deleted must not come back."""
        if not self._lease.is_ours():
            raise self._conflict()
        with step("land.upload"):
            self._bucket.put_file(self._chunk_name(chunk), self.path / chunk.file_name)

    def write(self, name: str, text: str) -> None:
        """See ``Claim``. That a load was committed is a fact, which the ledger has too: it is no conflict."""
        is_ours = self._lease.is_ours()
        if name != COMMITTED and not is_ours:
            raise self._conflict()
        if is_ours and self._bucket.put_new(self._loads + name, text.encode()) is None:
            raise self._conflict()
        self.is_over = self.is_over or name in (COMMITTED, HELD)

    def drop(self, names: Iterable[str]) -> None:
        """See ``Claim``."""
        self._bucket.delete([self._loads + name for name in names])

    def provide(self, chunk: Chunk) -> bool:
        """See ``Claim``."""
        if self._folder.provide(chunk):
            return True
        file = self.path / chunk.file_name
        temporary = file.with_name(f".{file.name}")
        with explaining_full_disk(self.path):
            if not self._bucket.get_file(self._chunk_name(chunk), temporary):
                temporary.unlink()
                return False
            temporary.rename(file)
        return self._folder.provide(chunk)

    def delete(self) -> None:
        """See ``Claim``. What another machine took over is left to it."""
        if self._lease.is_ours():
            self._bucket.delete([self._loads + PLAN])
            self._bucket.drop_parts(self._chunks)
            self._bucket.delete([name for name, _ in self._bucket.list(self._chunks)])
            self._bucket.delete([name for name, _ in self._bucket.list(self._loads) if name != self._loads + OWNER])
            self._lease.end()
        self.is_over = True

    def _chunk_name(self, chunk: Chunk) -> str:
        return f"{self._chunks}chunk-{chunk.number:06d}.{chunk.sha256[:16]}.parquet"

    def _conflict(self) -> LoadConflict:
        return LoadConflict(
            "another machine went on with it, or deleted it, because this one was silent for too long.",
            safe="Nothing of it was committed here; its finished chunks are kept.",
            remedy="Run again.",
            load_id=self.path.name,
        )


class BucketShelf:
    """The loads in a bucket. A load is claimed on this machine by a lock on its folder, and between machines by a lease."""

    def __init__(self, root: Path, bucket: Bucket) -> None:
        """Remember the folder that loads are worked on in, and the bucket."""
        self._root, self._bucket, self._folders = root, bucket, FolderShelf(root)

    def list_loads(self, within: Path) -> list[StoredLoad]:
        """See ``Shelf``. What this machine still has of loads that ended or are gone is deleted on the way."""
        prefix = "loads/" if within == self._root else f"loads/{self._name(within)}/"
        names, begun = dict[Path, set[str]](), dict[Path, datetime]()
        for key, written_at in self._bucket.list(prefix):
            path, _, name = key.removeprefix("loads/").rpartition("/")
            names.setdefault(self._root / path, set()).add(name)
            begun[self._root / path] = min(written_at, begun.get(self._root / path, written_at))
        loads = [StoredLoad(path, frozenset(found), begun[path]) for path, found in names.items()]
        unfinished = {load.path for load in loads if not load.is_ended}
        for here in self._folders.list_loads(within):
            if here.path not in unfinished:
                self._delete_folder(here.path)
        return sorted(loads, key=lambda load: load.load_id, reverse=True)

    def read(self, load: StoredLoad, name: str) -> bytes:
        """See ``Shelf``."""
        return _read(self._bucket, f"loads/{self._name(load.path)}/{name}")

    @contextmanager
    def begin(self, path: Path, plan: str) -> Iterator[BucketClaim]:
        """See ``Shelf``."""
        with self._folders.begin(path, plan) as folder:
            try:
                lease = self._take_lease(path)
                if lease is None or self._bucket.put_new(f"loads/{self._name(path)}/{PLAN}", plan.encode()) is None:
                    raise AssertionError(f"a load {path.name} is there already")
            except BaseException:
                folder.delete()
                raise
            with self._at_work(lease, folder) as claim:
                yield claim

    @contextmanager
    def claim(self, path: Path) -> Iterator[BucketClaim | None]:
        """See ``Shelf``."""
        with self._lock_folder(path) as folder:
            lease = self._take_lease(path) if folder else None
            if folder is None or lease is None:
                yield None
                return
            with self._at_work(lease, folder) as claim:
                yield claim

    def sweep(self, before: datetime) -> int:
        """See ``Shelf``: files that a process wrote after its load was deleted, and parts that never became a file."""
        known = {f"chunks/{self._name(load.path)}" for load in self.list_loads(self._root)}
        left = [name for name, at in self._bucket.list("chunks/") if at < before and name.rpartition("/")[0] not in known]
        self._bucket.delete(left)
        self._bucket.drop_parts("chunks/", before)
        return self._folders.sweep(before) + len({name.rpartition("/")[0] for name in left})

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _take_lease(self, path: Path) -> Lease | None:
        with explaining_full_disk(self._root):
            place = identify_place(self._root)
        return take_lease(self._bucket, f"loads/{self._name(path)}/{OWNER}", place)

    @contextmanager
    def _at_work(self, lease: Lease, folder: FolderClaim) -> Iterator[BucketClaim]:
        claim = BucketClaim(self._bucket, lease, folder, self._name(folder.path))
        try:
            with lease.kept():
                yield claim
        finally:
            if claim.is_over:
                folder.delete()

    @contextmanager
    def _lock_folder(self, path: Path) -> Iterator[FolderClaim | None]:
        """Have a folder here for a load, locked; None if another process of this machine has it, or is just deleting it."""
        file = path / PLAN
        with explaining_full_disk(path):
            try:
                path.mkdir(parents=True, exist_ok=True)
                held = os.open(file, os.O_RDONLY | os.O_CREAT, 0o666)
            except (FileNotFoundError, FileExistsError):  # it was there a moment ago, and is there no more
                held = None
        if held is None:
            yield None
            return
        try:
            yield FolderClaim(path) if lock(held) and file.exists() and os.path.samestat(os.fstat(held), file.stat()) else None
        finally:
            os.close(held)

    def _delete_folder(self, path: Path) -> None:
        with self._folders.claim(path) as folder:
            if folder:
                folder.delete()


def _read(bucket: Bucket, name: str) -> bytes:
    found = bucket.get(name)
    if found is None:
        raise FileNotFoundError(name)
    return found.body
