"""Opens a DuckDB file when its turn comes: first this project's queue, then DuckDB's own lock, which strangers may hold."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.state.lock import hold_lock
from pipelines.warehouses.duckdb_errors import is_locked, translate

POLL_SECONDS = 0.1


def take_turn(file: Path, purpose: str, wait_seconds: float) -> AbstractContextManager[int | None]:
    """Queue for ``file`` among this project's processes; see ``hold_lock``."""
    file.parent.mkdir(parents=True, exist_ok=True)
    return hold_lock(file.with_name(f"{file.name}.lock"), purpose, wait_seconds)


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
