"""The read copy: the warehouse file as people and BI tools see it, replaced atomically when something changed that passed.

DuckDB lets one process write a file and then nobody else may read it, so nobody but the project opens the warehouse. A table that
failed its tests stands in the copy as it was in the copy before.
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.errors import DaybreakError
from pipelines.settings import Settings
from pipelines.state.builds import read_builds, read_deliveries, record_delivery
from pipelines.state.mirror import Mirror
from pipelines.warehouses import duckdb_file, open_warehouse

READ_COPY = "warehouse/read_copy"
FICLONE = 0x40049409  # Linux's ioctl for a copy that shares its blocks until one side changes
_COPYING = ".copying"

Relation = tuple[str, str]  # schema, name


@dataclass(frozen=True)
class Copied:
    """How it ended: published, unchanged, kept (the last one, for ``reason``), none (there never was one) or off."""

    status: str
    version: str
    reason: str | None = None


def read_copy_file(settings: Settings) -> Path:
    """Return where the read copy is."""
    file = duckdb_file(settings.warehouse_url)
    return file.with_name(f"{file.stem}.read{file.suffix}")


def deliver_read_copy(settings: Settings, mirror: Mirror, models: Mapping[str, Relation]) -> Copied:
    """Replace the read copy if a load or a model changed since; ``models`` are the tables of the project's models, by unique id.

    A copy that cannot be written is no reason to stop: the last one stands, and whatever is delivered from it is kept back.
    """
    if not settings.read_copy:
        return Copied("off", "off")
    before = read_deliveries(mirror).get(READ_COPY, {})
    inputs = _digest(mirror, models)
    if before.get("inputs") == inputs and before["status"] in ("published", "unchanged") and read_copy_file(settings).exists():
        _note(mirror, before, status="unchanged", inputs=inputs)
        return Copied("unchanged", inputs)
    # What has no inputs was not built to a good end: see dbt_build.
    builds = read_builds(mirror)
    bad = [relation for model, relation in models.items() if builds.get(model, {}).get("inputs") is None]
    try:
        _publish(settings, bad)
    except (DaybreakError, OSError) as error:
        status = "kept" if read_copy_file(settings).exists() else "none"
        reason = f"the read copy could not be written: {error}"
        _note(mirror, before, status=status, inputs="", reason=reason, stale_since=before.get("stale_since") or _now())
        return Copied(status, before.get("version", "none"), reason)
    _note(mirror, before, status="published", inputs=inputs, version=inputs, published_at=_now())
    return Copied("published", inputs)


def _digest(mirror: Mirror, models: Mapping[str, Relation]) -> str:
    """Hash what the copy would hold: each table's load and schema, each model's last good build."""
    builds = read_builds(mirror)
    tables = [(status.table_id, status.load_id, status.schema_version) for status in mirror.statuses()]
    built = [
        (model, relation, builds.get(model, {}).get("inputs"), builds.get(model, {}).get("built_at"))
        for model, relation in sorted(models.items())
    ]
    return hashlib.sha256(json.dumps([tables, built]).encode()).hexdigest()[:24]


def _note(mirror: Mirror, before: Mapping[str, Any], **values: Any) -> None:  # noqa: ANN401 - the columns of the mirror's table
    known = {"version": before.get("version", "none"), "published_at": before.get("published_at"), "data_as_of": None}
    record_delivery(mirror, READ_COPY, **{**known, "reason": None, "stale_since": None, **values})


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _publish(settings: Settings, bad: Sequence[Relation]) -> None:
    """Copy the warehouse and put the copy where readers are; ``bad`` tables keep the version that the last copy has."""
    from pipelines.warehouses.duckdb_access import open_file, take_turn

    source, target = duckdb_file(settings.warehouse_url), read_copy_file(settings)
    temporary = target.with_name(f"{target.name}{_COPYING}")
    purpose, wait_seconds = "publish the read copy", settings.lock_wait_seconds
    with take_turn(source, purpose, wait_seconds):
        for leftover in (temporary, temporary.with_name(f"{temporary.name}.wal")):
            leftover.unlink(missing_ok=True)
        warehouse = open_warehouse(settings.warehouse_url, wait_seconds)
        if warehouse.traces() != "none":  # or the copy would have them too
            warehouse.erase_traces(is_settled=not bad)
        with open_file(source, purpose, wait_seconds) as connection:
            connection.execute("checkpoint")  # so that the file alone is whole, without its write-ahead log
        try:
            _clone(source, temporary)
            if bad:
                _restore(temporary, target, bad)
            with temporary.open("rb") as copied:
                os.fsync(copied.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)  # it may be what fills the disk
            raise


def _clone(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the filesystem can."""
    with source.open("rb") as original, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), FICLONE, original.fileno())
        except OSError:
            shutil.copyfileobj(original, copy, 16 * 2**20)


def _restore(copy: Path, published: Path, bad: Sequence[Relation]) -> None:
    """Put the published version of the ``bad`` tables into the copy, or nothing where there is none.

    Views stay: they show what is under them, which passed its own gates.
    """
    import duckdb

    from pipelines.landing.scan import quote
    from pipelines.warehouses.duckdb_errors import translate

    try:
        with duckdb.connect(str(copy)) as connection:
            known: set[Relation] = set()
            if published.exists():
                connection.execute(f"attach '{str(published).replace(chr(39), chr(39) * 2)}' as published (read_only)")
                known = set(
                    connection.execute("select schema_name, table_name from duckdb_tables() where database_name = 'published'").fetchall()
                )
            views = set(
                connection.execute("select schema_name, view_name from duckdb_views() where database_name != 'published'").fetchall()
            )
            for schema, name in sorted(set(bad) - views):
                table = f"{quote(schema)}.{quote(name)}"
                connection.execute(f"drop table if exists {table}")
                if (schema, name) in known:
                    connection.execute(f"create schema if not exists {quote(schema)}")
                    connection.execute(f"create table {table} as from published.{table}")
    except duckdb.Error as error:
        translate(copy, error)
