"""Deletes landed files that nobody needs any more, or that nobody may keep. A load that a living process works on is left alone."""

from collections.abc import Iterable
from datetime import datetime

from pipelines.landing.shelf import PLAN
from pipelines.landing.store import Landing
from pipelines.sync import codec
from pipelines.sync.spec import TableSpec


def purge_table(landing: Landing, spec: TableSpec) -> int:
    """Delete the files of every load of a table; return how many loads that were."""
    return sum(landing.delete_load(load) for load in landing.remains(spec))


def find_busy_load(landing: Landing, spec: TableSpec) -> str | None:
    """Return the id of a load of the table that a living process works on."""
    return next((load.load_id for load in landing.loads(spec) if landing.is_busy(load)), None)


def purge_other_entries(landing: Landing, spec: TableSpec) -> int:
    """Delete the loads that landed under another version of the table's entry, and so perhaps without its masks; return how many."""
    wanted, gone = codec.fingerprint(spec), 0
    for load in landing.remains(spec):
        try:
            is_same = codec.PLAN.validate_json(landing.shelf.read(load, PLAN)).spec_fingerprint == wanted
        except (OSError, ValueError):  # half made, or written by another version of Daybreak
            is_same = False
        gone += 0 if is_same else landing.delete_load(load)
    return gone


def purge_orphans(landing: Landing, tables: Iterable[TableSpec], before: datetime) -> int:
    """Delete loads that were begun before an instant and not ended, what is left of others, and all of tables that are synced no more."""
    known = {landing.table_folder(table) for table in tables}
    old = (load for load in landing.shelf.list_loads(landing.root) if load.begun_at < before)
    gone = sum(landing.delete_load(load) for load in old if not (load.is_whole and load.is_ended and load.path.parent in known))
    return gone + landing.shelf.sweep(before)
