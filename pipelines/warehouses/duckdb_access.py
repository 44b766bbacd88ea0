"""Opens a DuckDB file when its turn comes: first this project's queue, then DuckDB's own lock, which strangers may hold."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.errors import PrerequisiteError
from pipelines.state.lock import hold_lock
from pipelines.warehouses.duckdb_errors import is_locked, translate

POLL_SECONDS = 0.1


@contextmanager
def take_turn(file: Path, purpose: str, wait_seconds: float) -> Iterator[int | None]:
    """Queue for ``file`` among this project's processes; see ``hold_lock``."""
    with ExitStack() as turn:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = turn.enter_context(hold_lock(file.with_name(f"{file.name}.lock"), purpose, wait_seconds))
        except OSError as error:
            raise _unwritable(file, error) from error
        yield descriptor


def _unwritable(file: Path, error: OSError) -> PrerequisiteError:
    return PrerequisiteError(
        [f"The folder of the warehouse {file} cannot be written: {error.strerror}."],
        safe="Nothing was written.",
        remedy="Mend its permissions or free space, or set DAYBREAK_WAREHOUSE_URL to another place, and run again.",
    )


@contextmanager
def open_file(file: Path, purpose: str, wait_seconds: float, *, read_only: bool = False) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield a connection in UTC. A program that queues nowhere is waited for as long; then ``WarehouseUnavailable`` names it."""
    with take_turn(file, purpose, wait_seconds):
        try:
            with _connect(file, time.monotonic() + wait_seconds, read_only) as connection:
                connection.execute("set TimeZone = 'UTC'")
                yield connection
        except duckdb.Error as error:
            translate(file, error)


def _connect(file: Path, deadline: float, read_only: bool) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {} if read_only else {"preserve_insertion_order": False}
    while True:
        try:
            return duckdb.connect(str(file), read_only=read_only, config=config)
        except duckdb.IOException as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(POLL_SECONDS)


def rewrite_file(file: Path, wait_seconds: float, done: str) -> None:
    """Replace a file by a copy of what is in it, made beside it and renamed; ``done`` is run in it. The caller has the turn."""
    fresh = file.with_name(f"{file.name}.rewriting")
    leftovers = (fresh, fresh.with_name(f"{fresh.name}.wal"))
    for leftover in leftovers:
        leftover.unlink(missing_ok=True)
    try:
        with open_file(file, "rewrite the file", wait_seconds) as connection:
            connection.execute(f"attach '{str(fresh).replace(chr(39), chr(39) * 2)}' as fresh")
            ((name,),) = connection.execute("select current_database()").fetchall()
            connection.execute(f'copy from database "{name.replace(chr(34), chr(34) * 2)}" to fresh')
            connection.execute("use fresh")
            connection.execute(done)
            connection.execute(f'use "{name.replace(chr(34), chr(34) * 2)}"')
            connection.execute("checkpoint fresh")
            connection.execute("detach fresh")
            connection.execute("checkpoint")  # so that nothing is left in a write-ahead log that would be replayed into the new file
        with fresh.open("rb") as written:
            os.fsync(written.fileno())
        fresh.replace(file)
        shutil.rmtree(file.with_name(f"{file.name}.tmp"), ignore_errors=True)  # what a killed process spilled
    finally:
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
