"""Dagster's own history of runs: events, check results and what steps printed. Takes runs out of it; starts none.

Dagster 1.13 deletes whole runs, not single events. What it keeps beside the runs (the newest check results and materializations
of an asset) goes when the asset is wiped, which makes it look as if it had never been materialised until its next run.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.state.pages import erase_pages

if TYPE_CHECKING:
    import dagster as dg

RUNS_AT_ONCE = 200  # of a long neglected history, the next mornings drop the rest


def drop_old_runs(instance: "dg.DagsterInstance", before: datetime) -> int:
    """Delete ended runs that were created before an instant, with their events and logs; return how many."""
    import dagster as dg

    old = instance.get_runs(dg.RunsFilter(created_before=before), limit=RUNS_AT_ONCE, ascending=True)
    return _drop(instance, [run.run_id for run in old if run.is_finished])


def drop_runs_that_name(instance: "dg.DagsterInstance", names_row: Callable[[str], bool], assets: Iterable["dg.AssetKey"]) -> int:
    """Delete the ended runs whose events or logs name a row, and what is kept of ``assets`` beside the runs; return how many."""
    named = [run.run_id for run in instance.get_runs() if run.is_finished and _names(instance, run.run_id, names_row)]
    gone = _drop(instance, named)
    instance.wipe_assets(list(assets))
    return gone


def _names(instance: "dg.DagsterInstance", run_id: str, names_row: Callable[[str], bool]) -> bool:
    from dagster_shared.serdes import serialize_value

    events = (json.loads(serialize_value(entry)) for entry in instance.all_logs(run_id))
    if any(names_row(text) for event in events for text in _texts(event)):
        return True
    folder = _log_folder(instance, run_id)
    files = (path for path in folder.rglob("*") if path.is_file()) if folder else ()
    return any(names_row(file.read_text(encoding="utf-8", errors="replace")) for file in files)


def _texts(value: object) -> Iterator[str]:
    """Yield every text inside of an event. Numbers are counts and times: no row is named by them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _drop(instance: "dg.DagsterInstance", run_ids: Iterable[str]) -> int:
    gone = 0
    for run_id in run_ids:
        instance.delete_run(run_id)
        if _log_folder(instance, run_id):
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        _unlink_shard(instance, run_id)
        gone += 1
    return gone


def _log_folder(instance: "dg.DagsterInstance", run_id: str) -> Path | None:
    """Return where the run's captured output is, if Dagster keeps it in files of this machine."""
    find: Any = getattr(instance.compute_log_manager, "get_captured_local_path", None)
    folder = Path(find([run_id, "x"], "out")).parent if find else None
    return folder if folder and folder.name == run_id and folder.is_dir() else None


def _unlink_shard(instance: "dg.DagsterInstance", run_id: str) -> None:
    """Delete the SQLite file that held the run's events: its rows are gone, its pages are not."""
    find: Any = getattr(instance.event_log_storage, "path_for_shard", None)
    if find:
        for ending in ("", "-wal", "-shm", "-journal"):
            Path(f"{find(run_id)}{ending}").unlink(missing_ok=True)


def erase_history(instance: "dg.DagsterInstance") -> list[str]:
    """Write Dagster's SQLite files anew, where deleted rows stay readable; return those that are in use just now."""
    find: Any = getattr(instance.event_log_storage, "path_for_shard", None)
    files = sorted(Path(find("index")).parent.parent.rglob("*.db")) if find else ()
    return [busy for busy in map(erase_pages, files) if busy]
