"""Makes deleted rows of a SQLite file unreadable: they stay in its free pages and in its write-ahead log otherwise."""

import sqlite3
from contextlib import closing
from pathlib import Path

WAIT_SECONDS = 10


def erase_pages(file: Path) -> str | None:
    """Write the file anew and empty its log. Returns why that could not be done to the end: somebody reads or writes it just now."""
    try:
        with closing(sqlite3.connect(file, timeout=WAIT_SECONDS, isolation_level=None)) as connection:
            connection.execute("vacuum")
            # A reader that holds an old snapshot keeps the log from being copied into the file: that is no error to SQLite.
            is_busy = connection.execute("pragma wal_checkpoint(truncate)").fetchone()[0]
    except sqlite3.OperationalError as error:
        return f"{file}: {error}"
    return f"{file}: somebody reads it just now" if is_busy else None
