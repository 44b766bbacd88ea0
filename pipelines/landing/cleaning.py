"""Deletes landed files that nobody needs any more, or that nobody may keep. A load that a living process works on is left alone."""

import os
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from pipelines.landing.store import Landing, delete_load, locked
from pipelines.sync import codec
from pipelines.sync.spec import TableSpec


def purge_table(landing: Landing, spec: TableSpec) -> int:
    """Delete the files of every load of a table; return how many loads that were."""
    return sum(delete_load(load) for load in landing.loads(spec))


def find_busy_load(landing: Landing, spec: TableSpec) -> str | None:
    """Return the id of a load of the table that a living process works on."""
    for load in landing.loads(spec):
        with locked(load / "plan.json") as is_free:
            if not is_free and (load / "plan.json").exists():
                return load.name
    return None


def purge_other_entries(landing: Landing, spec: TableSpec) -> int:
    """Delete the loads that landed under another version of the table's entry, and so perhaps without its masks; return how many."""
    wanted, gone = codec.fingerprint(spec), 0
    for load in landing.loads(spec):
        try:
            is_same = codec.PLAN.validate_json((load / "plan.json").read_bytes()).spec_fingerprint == wanted
        except (OSError, ValueError):  # half made, or written by another version of Daybreak
            is_same = False
        gone += 0 if is_same else delete_load(load)
    return gone


def purge_orphans(landing: Landing, tables: Iterable[TableSpec], before: datetime) -> int:
    """Delete loads that were begun before an instant and not ended, and every older load of a table that the catalog has no more."""
    known = {landing.table_folder(table) for table in tables}
    gone = 0
    for plan in landing.root.glob("*/*/*/plan.json"):
        load = plan.parent
        is_ended = (load / "committed").exists() or (load / "held.json").exists()
        if plan.stat().st_mtime < before.timestamp() and (load.parent not in known or not is_ended):
            gone += delete_load(load)
    for half_made in landing.root.glob("*/*/.*"):
        if half_made.is_dir() and half_made.stat().st_mtime < before.timestamp():
            gone += delete_load(half_made)
    for folder in (*landing.root.glob("*/*"), *landing.root.glob("*")):
        if folder not in known and folder.is_dir():
            _remove_if_empty(folder)
    return gone


def _remove_if_empty(folder: Path) -> None:
    try:
        os.rmdir(folder)
    except OSError:  # there is something in it
        return
