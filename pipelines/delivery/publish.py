"""Puts a file where readers are, whole or not at all, and keeps the versions before it.

`morning.html` is replaced by a rename, so a reader has the old file or the new one; a crash at any point leaves one of
them. Whether there is something fit to publish is not decided here.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

VERSIONS = "versions"
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_VERSION = re.compile(r"(?P<stem>.+)-(?P<stamp>\d{8}T\d{6}\.\d{6}Z)(?P<suffix>\.[^.]+|)")


@dataclass(frozen=True)
class Published:
    """Where readers look, and the copy of it that was kept under `versions/`."""

    path: Path
    version_path: Path | None  # None: nothing was written
    changed: bool  # False: the same content is published already


def publish(target: Path, content: str | bytes, *, keep_versions: int) -> Published:
    """Write `versions/<name>-<UTC time>.<suffix>`, then replace `target`; keep the newest `keep_versions` versions.

    Two publishers of one folder wait for each other. OSError leaves what was published as it was.
    """
    if keep_versions < 1:
        raise ValueError(f"keep_versions is {keep_versions}, but the published version itself is kept: at least 1.")
    data = content.encode() if isinstance(content, str) else content
    versions = target.parent / VERSIONS
    versions.mkdir(parents=True, exist_ok=True)
    with _lock_folder(target.parent):
        _remove_stale_files(target)
        if target.is_file() and target.read_bytes() == data:
            return Published(path=target, version_path=None, changed=False)
        version = versions / _name_version(target)
        _write_whole(version, data)
        _write_whole(target, data)
        for old in _list_versions(target)[:-keep_versions]:
            old.unlink(missing_ok=True)
    return Published(path=target, version_path=version, changed=True)


def drop_versions(folder: Path, *, keep: int, before: datetime | None = None) -> int:
    """Delete versions of every file published in `folder`: all but the newest `keep`, and those of before an instant; return how many."""
    if not (folder / VERSIONS).is_dir():
        return 0
    found: dict[tuple[str, str], list[tuple[datetime, Path]]] = {}
    for path in sorted((folder / VERSIONS).iterdir()):
        if parts := _VERSION.fullmatch(path.name):
            published_at = datetime.strptime(parts["stamp"], _STAMP).replace(tzinfo=UTC)
            found.setdefault((parts["stem"], parts["suffix"]), []).append((published_at, path))
    with _lock_folder(folder):
        old = [path for versions in found.values() for _, path in versions[:-keep]]
        old += [path for versions in found.values() for at, path in versions[-keep:] if before and at < before]
        for path in old:
            path.unlink(missing_ok=True)
    return len(old)


def read_published(target: Path) -> str | None:
    """What readers see now; None if nothing was ever published."""
    try:
        return target.read_bytes().decode()
    except FileNotFoundError:
        return None


def _write_whole(path: Path, data: bytes) -> None:
    """Temp file in the same folder → fsync → rename → fsync of the folder, or a power cut could undo the rename."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        # Not tempfile: its files are readable by their owner alone, and a web server is somebody else.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _lock_folder(folder: Path) -> Iterator[None]:
    """The lock is the folder's own, so it leaves no file behind, and it ends with its process, so a crash frees it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_stale_files(target: Path) -> None:
    """Under the folder's lock nobody else writes, so every temp file of this target is from a publisher that died."""
    own = re.compile(rf"\.{re.escape(target.name)}\.\d+\.tmp")
    of_version = re.compile(rf"\.{_version_pattern(target)}\.\d+\.tmp")
    for folder, pattern in ((target.parent, own), (target.parent / VERSIONS, of_version)):
        for path in folder.iterdir():
            if pattern.fullmatch(path.name):
                path.unlink(missing_ok=True)


def _list_versions(target: Path) -> list[Path]:
    """Oldest first: the stamp sorts as time does. `morning-eu`'s versions are not those of `morning`."""
    pattern = re.compile(_version_pattern(target))
    return sorted(path for path in (target.parent / VERSIONS).iterdir() if pattern.fullmatch(path.name))


def _version_pattern(target: Path) -> str:
    return rf"{re.escape(target.stem)}-\d{{8}}T\d{{6}}\.\d{{6}}Z{re.escape(target.suffix)}"


def _name_version(target: Path) -> str:
    """Later than every version there is, even if the clock was set back: else the newest would be pruned as oldest."""
    now = datetime.now(UTC)
    existing = _list_versions(target)
    if existing:
        stamp = existing[-1].name.removeprefix(f"{target.stem}-").removesuffix(target.suffix)
        newest = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        now = max(now, newest + timedelta(microseconds=1))
    return f"{target.stem}-{now.strftime(_STAMP)}{target.suffix}"
