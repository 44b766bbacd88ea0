"""Ends, on record, runs whose process was killed: Dagster would show them as running, and keep their pool slots, for ever.

Only runs of `daybreak run` are looked at; those that Dagster's daemon launched are its monitor's. A living run holds a lock on a
file of its own, which the kernel lets go of however the process ends: no process number can be mistaken for another's.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ulid import ULID

if TYPE_CHECKING:
    import dagster as dg

LIFE_TAG = "daybreak/life"


@contextmanager
def living(folder: Path) -> Iterator[str]:
    """Yield a name that is alive until the block, or this process, ends."""
    folder.mkdir(parents=True, exist_ok=True)
    name = str(ULID())
    with (folder / name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield name
        finally:
            (folder / name).unlink(missing_ok=True)


def is_alive(folder: Path, name: str) -> bool:
    """Whether the process that `living` gave the name to is still in its block."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def end_dead_runs(instance: "dg.DagsterInstance", folder: Path) -> list[str]:
    """Mark the runs whose process is gone as failed and free their pool slots. Returns their run ids."""
    import dagster as dg

    going = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.NOT_STARTED])
    dead = [run for run in instance.get_runs(going) if LIFE_TAG in run.tags and not is_alive(folder, run.tags[LIFE_TAG])]
    for run in dead:
        instance.report_run_failed(run, "The process of this run was killed. What it committed stands; the next run goes on from there.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        (folder / run.tags[LIFE_TAG]).unlink(missing_ok=True)
    return [run.run_id for run in dead]
