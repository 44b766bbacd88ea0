"""Tells living runs from dead ones, and ends the dead on record: Dagster would show them as running, and keep their pool slots, for ever.

A living run holds a lock on a file of its own, which the kernel lets go of however its process ends, by kill -9 or with the
machine. So no process number can be mistaken for another's, and a reboot needs no rule of its own. Starting a run's process is
``runs.launcher``'s job.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ulid import ULID

if TYPE_CHECKING:
    import dagster as dg

LIFE_TAG = "daybreak/life"
LIVES = "lives"  # the folder, in the Dagster home
DEATH = "The process of this run was killed, or its machine went down. What it committed stands."


@contextmanager
def hold_life(folder: Path, name: str) -> Iterator[int]:
    """Yield a descriptor on which ``name`` lives: until it is closed here and in every process that inherited it."""
    folder.mkdir(parents=True, exist_ok=True)
    hidden = folder / f".{name}"  # until it is locked, so that nobody takes it for dead
    descriptor = os.open(hidden, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        hidden.rename(folder / name)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def living(folder: Path) -> Iterator[str]:
    """Yield a name that is alive until the block, or this process, ends."""
    name = str(ULID())
    with hold_life(folder, name) as descriptor:
        note_process(descriptor, os.getpid())
        try:
            yield name
        finally:
            (folder / name).unlink(missing_ok=True)


def note_process(descriptor: int, process_id: int) -> None:
    """Write down whose life it is, for whoever wants to end it."""
    os.pwrite(descriptor, str(process_id).encode(), 0)


def is_alive(folder: Path, name: str) -> bool:
    """Whether somebody still holds the life of that name."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two who ask at once are not life to each other
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def process_of(folder: Path, name: str) -> int | None:
    """Return the number of the living process behind a name; None if there is none, or it is not known yet."""
    try:
        noted = (folder / name).read_text()
    except FileNotFoundError:
        return None
    return int(noted) if noted and is_alive(folder, name) else None


def bury(folder: Path) -> None:
    """Remove the files of lives that ended."""
    for file in folder.glob("[!.]*"):
        if not is_alive(folder, file.name):
            file.unlink(missing_ok=True)


def end_dead_runs(instance: "dg.DagsterInstance", folder: Path) -> list[str]:
    """Mark the runs whose process is gone as failed and free their pool slots. Returns their run ids."""
    import dagster as dg

    status = dg.DagsterRunStatus
    going = dg.RunsFilter(statuses=[status.NOT_STARTED, status.STARTING, status.STARTED, status.CANCELING])
    ended = [run for run in instance.get_runs(going) if _has_own_life(instance, run) and not is_alive(folder, run.tags[LIFE_TAG])]
    # Asked again after the life was gone: a process may have ended well, and said so, since the first question.
    dead = [run for run in map(instance.get_run_by_id, [run.run_id for run in ended]) if run and not run.is_finished]
    for run in dead:
        if run.status is status.CANCELING:
            instance.report_run_canceled(run, "The process of this run ended.")
        else:
            instance.report_run_failed(run, explain_death(run.run_id))
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
    bury(folder)
    return [run.run_id for run in dead]


def _has_own_life(instance: "dg.DagsterInstance", run: "dg.DagsterRun") -> bool:
    """Whether the run's process was started: a retry that waits for its own carries its parent's tags."""
    if LIFE_TAG not in run.tags:
        return False
    parent = instance.get_run_by_id(run.parent_run_id) if run.parent_run_id else None
    return parent is None or parent.tags.get(LIFE_TAG) != run.tags[LIFE_TAG]


def explain_death(run_id: str) -> str:
    """Return what people read of a run that was killed: what is safe, and from where the next one goes on."""
    import sqlalchemy as sa

    from pipelines.errors import DaybreakError
    from pipelines.settings import load_settings
    from pipelines.state.attempts import tell_resume_points
    from pipelines.wiring import open_mirror

    try:
        points = tell_resume_points(open_mirror(load_settings().state_url), run_id)
    except (DaybreakError, OSError, sa.exc.SQLAlchemyError) as error:  # a death is noted even where nobody can say more of it
        points = f"From where the next run goes on cannot be told: {error}"
    return f"{DEATH} {points}"
