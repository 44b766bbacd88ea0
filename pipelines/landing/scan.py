"""Questions about a whole landed load, answered by one spilling DuckDB pass over its files: digests and repeated keys.

A digest is the number of rows and the sum of a 64-bit hash of each row, so it does not depend on their order. It only
decides whether a load can be left out because nothing changed: two contents with one digest have odds of 1 in 2^64. DuckDB may
change its hash between releases; then everything is loaded once more and found unchanged row by row.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.errors import LandingCorrupt, PrerequisiteError
from pipelines.sync.model import DayDigest
from pipelines.sync.protocols import UNFIT_COLUMN


def quote(name: str) -> str:
    """Return ``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def parquet_pattern(file: Path | str) -> str:
    """Return what DuckDB reads as just this file: it takes ``*``, ``?`` and ``[`` in the folder's name for patterns."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(file))


def day_expression(column: str, is_instant: bool, time_zone: str) -> str:
    """Return DuckDB's SQL for the day of ``column`` (quoted), in ``time_zone`` if it is an instant."""
    return f"cast({column} at time zone '{time_zone}' as date)" if is_instant else f"cast({column} as date)"


def digest_days(files: Sequence[Path], columns: Sequence[str], day: str) -> tuple[DayDigest, ...]:
    """Return a digest for each value of the SQL expression ``day`` (a date or NULL)."""
    rows = _ask(files, f"select {day} as day, count(*), {_digest(columns)} from landed group by day order by day")
    return tuple(DayDigest(found if isinstance(found, date) else None, int(count), str(total)) for found, count, total in rows)


def digest_all(files: Sequence[Path], columns: Sequence[str], condition: str = "true") -> DayDigest:
    """Return one digest of the rows that fulfil ``condition``."""
    ((count, total),) = _ask(files, f"select count(*), {_digest(columns)} from landed where {condition}") or [(0, 0)]
    return DayDigest(None, int(count), str(total))


def repeated_keys(files: Sequence[Path], key: Sequence[str]) -> tuple[int, tuple[str, ...]]:
    """Return how many keys stand in more than one row, and up to three of them as text."""
    columns = ", ".join(map(quote, key))
    texts = ", ".join(f"cast({quote(name)} as varchar)" for name in key)
    rows = _ask(
        files,
        f"with repeated as (select {columns} from landed where {' and '.join(f'{quote(name)} is not null' for name in key)}"
        f" group by {columns} having count(*) > 1) select count(*) over (), concat_ws(', ', {texts}) from repeated limit 3",
    )
    return (int(rows[0][0]), tuple(text for _, text in rows)) if rows else (0, ())


def _digest(columns: Sequence[str]) -> str:
    return f"coalesce(sum(cast(hash({', '.join(map(quote, [*columns, UNFIT_COLUMN]))}) as hugeint)), 0)"


def _ask(files: Sequence[Path], sql: str) -> list[tuple[Any, ...]]:
    import duckdb

    if not files:
        return []
    try:
        with duckdb.connect(config={"memory_limit": "512MB", "threads": 2}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            connection.read_parquet([parquet_pattern(file) for file in files], hive_partitioning=False).create_view("landed")
            return connection.execute(sql).fetchall()
    except duckdb.OutOfMemoryException as error:
        raise PrerequisiteError(
            [f"The landed files in {files[0].parent} need more memory or temporary space than there is: {error}"],
            safe="Nothing was loaded; the last load stands.",
            remedy="Free space in the temporary folder, and run again.",
        ) from error
    except duckdb.Error as error:
        raise LandingCorrupt(
            f"the landed files in {files[0].parent} cannot be read: {error}",
            safe="Nothing was loaded from them; the last load stands.",
            remedy=f"Delete the folder {files[0].parent} and run again: it is read anew.",
            load_id=files[0].parent.name,
        ) from error
