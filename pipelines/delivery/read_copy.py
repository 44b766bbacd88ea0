"""The read copy: the warehouse file as people and BI tools see it, replaced atomically after each build with what passed.

DuckDB lets one process write a file and then nobody else may read it, so nobody but the project opens the warehouse. A table that
failed its tests stands in the copy as it was in the copy before.
"""

import fcntl
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pipelines.landing.scan import quote
from pipelines.settings import Settings
from pipelines.state.lock import hold_lock
from pipelines.warehouses import duckdb_file

FICLONE = 0x40049409  # Linux's ioctl for a copy that shares its blocks until one side changes
_COPYING = ".copying"


def read_copy_file(settings: Settings) -> Path:
    """Return where the read copy is."""
    file = duckdb_file(settings.warehouse_url)
    return file.with_name(f"{file.stem}.read{file.suffix}")


def publish_read_copy(settings: Settings, failed: Sequence[tuple[str, str]]) -> Path:
    """Copy the warehouse and put the copy where readers are; ``failed`` tables (schema, name) keep their last good version."""
    source, target = duckdb_file(settings.warehouse_url), read_copy_file(settings)
    temporary = target.with_name(f"{target.name}{_COPYING}")
    with hold_lock(source.with_name(f"{source.name}.lock"), "publish the read copy", settings.lock_wait_seconds):
        for leftover in (temporary, temporary.with_name(f"{temporary.name}.wal")):
            leftover.unlink(missing_ok=True)
        _checkpoint(source)
        _clone(source, temporary)
    if failed:
        _restore(temporary, target, failed)
    with temporary.open("rb") as copied:
        os.fsync(copied.fileno())
    temporary.replace(target)
    return target


def _checkpoint(file: Path) -> None:
    """Move what stands in the write-ahead log into the file, so that the file alone is whole."""
    import duckdb

    with duckdb.connect(str(file)) as connection:
        connection.execute("checkpoint")


def _clone(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the filesystem can."""
    with source.open("rb") as original, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 16 * 2**20)


def _restore(copy: Path, published: Path, failed: Sequence[tuple[str, str]]) -> None:
    import duckdb

    with duckdb.connect(str(copy)) as connection:
        if published.exists():
            connection.execute(f"attach '{published}' as published (read_only)")
            listed = "select schema_name, table_name from duckdb_tables() where database_name = 'published'"
            known = set(connection.execute(listed).fetchall())
        else:
            known = set()
        views = set(connection.execute("select schema_name, view_name from duckdb_views() where database_name != 'published'").fetchall())
        for schema, name in failed:
            if (schema, name) in views:
                continue  # a view shows what is under it, which passed its own gates
            table = f"{quote(schema)}.{quote(name)}"
            connection.execute(f"drop table if exists {table}")
            if (schema, name) in known:
                connection.execute(f"create table {table} as from published.{table}")
