"""Takes values of the data out of the mirror's texts: sample keys, observed values, errors and reasons that quote a row."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from pipelines.state import tables as t
from pipelines.state.mirror import Mirror
from pipelines.sync.spec import TableSpec

REMOVED = "(removed: it named a row that was forgotten)"
_REASONS = (
    (t.tables, t.tables.c.held_reason),
    (t.attempts, t.attempts.c.error),
    (t.results, t.results.c.note),
    (t.builds, t.builds.c.reason),
    (t.deliveries, t.deliveries.c.reason),
)


def drop_verdicts(mirror: Mirror, table_id: str) -> None:
    """Delete what checks said of a table and what went wrong with it: both may quote columns that are masked by now."""
    mirror.write(
        sa.delete(t.verdicts).where(t.verdicts.c.subject == table_id),
        sa.update(t.attempts).where(t.attempts.c.table_id == table_id).values(error=None),
        sa.update(t.results).where(t.results.c.table_id == table_id).values(note=""),
    )
    erase_pages(mirror)


def forget_row(mirror: Mirror, spec: TableSpec, key: Sequence[str]) -> None:
    """Take every sample out of the table's verdicts, and every text away that names the row."""
    names_row = make_finder(key)
    statements: list[sa.Executable] = []
    for row in mirror.read(sa.select(t.verdicts.c.id, t.verdicts.c.numbers).where(t.verdicts.c.subject == spec.id)):
        kept = _without_texts(row.numbers)
        if kept != row.numbers:
            statements.append(sa.update(t.verdicts).where(t.verdicts.c.id == row.id).values(numbers=kept))
    for table, column in _REASONS:
        for text in {row[0] for row in mirror.read(sa.select(column).where(column.is_not(None)))}:
            if names_row(text):
                statements.append(sa.update(table).where(column == text).values({column.name: REMOVED}))
    mirror.write(*statements)
    erase_pages(mirror)


def make_finder(key: Sequence[str]) -> Callable[[str], bool]:
    """Return the test whether a text has every value of a key as a word of its own; the date 2026-03-17 does not name row 17."""
    patterns = [re.compile(rf"(?<![\w:-])(?<!\d\.){re.escape(value)}(?![\w:-])(?!\.\d)") for value in key if value]
    return lambda text: bool(patterns) and all(pattern.search(text) for pattern in patterns)


def _without_texts(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if value is None or isinstance(value, int | float)}


def erase_pages(mirror: Mirror) -> None:
    """Write SQLite's file anew and empty its log, where deleted rows stay readable. PostgreSQL does that in its own time."""
    if mirror.engine.dialect.name != "sqlite":
        return
    with mirror.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("vacuum")
        connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
