"""Takes values of the data out of the mirror's texts: sample keys, observed values, errors and reasons that quote a row."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipelines.state import tables as t
from pipelines.state.mirror import Mirror
from pipelines.state.pages import erase_pages
from pipelines.sync.spec import TableSpec

REMOVED = "(removed: it named a row that was forgotten)"
_REASONS = (
    (t.tables, t.tables.c.held_reason),
    (t.attempts, t.attempts.c.error),
    (t.results, t.results.c.note),
    (t.builds, t.builds.c.reason),
    (t.deliveries, t.deliveries.c.reason),
    (t.backfills, t.backfills.c.note),
)


def drop_verdicts(mirror: Mirror, table_id: str) -> None:
    """Delete what checks said of a table and what went wrong with it: both may quote columns that are masked by now."""
    mirror.write(
        sa.delete(t.verdicts).where(t.verdicts.c.subject == table_id),
        sa.update(t.attempts).where(t.attempts.c.table_id == table_id).values(error=None),
        sa.update(t.results).where(t.results.c.table_id == table_id).values(note=""),
        sa.update(t.backfills).where(t.backfills.c.table_id == table_id).values(note=""),
    )
    erase_mirror(mirror)  # if somebody reads it just now, the next sync of the table does it, and retention every day


def forget_row(mirror: Mirror, spec: TableSpec, key: Sequence[str]) -> str | None:
    """Take every sample out of the table's verdicts, and every text away that names the row. Returns why it may still be readable."""
    names_row = make_finder(key)
    statements: list[sa.Executable] = []
    for row in mirror.read(sa.select(t.verdicts.c.id, t.verdicts.c.numbers).where(t.verdicts.c.subject == spec.id)):
        kept = _without_texts(row.numbers)
        if kept != row.numbers:
            statements.append(sa.update(t.verdicts).where(t.verdicts.c.id == row.id).values(numbers=kept))
    for table, column in _REASONS:
        # What is told of another table may have the same number in it and means something else.
        is_meant = table.c.table_id == spec.id if "table_id" in table.c else sa.true()
        for text in {row[0] for row in mirror.read(sa.select(column).where(column.is_not(None), is_meant))}:
            if names_row(text):
                statements.append(sa.update(table).where(column == text, is_meant).values({column.name: REMOVED}))
    mirror.write(*statements)
    return erase_mirror(mirror)


def make_finder(key: Sequence[str]) -> Callable[[str], bool]:
    """Return the test whether a text has every value of a key as a word of its own.

    Neither the date 2026-03-17 nor 17,302 rows nor the time 06:17 name the row 17; the JSON ``{"id":17}`` does.
    """
    before, after = r"""(?<![\w-])(?<!\d[.,])(?<![^"']:)""", r"(?![\w:-])(?![.,]\d)"
    patterns = [re.compile(f"{before}{re.escape(value)}{after}") for value in key if value]
    return lambda text: bool(patterns) and all(pattern.search(text) for pattern in patterns)


def _without_texts(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if value is None or isinstance(value, int | float)}


def erase_mirror(mirror: Mirror) -> str | None:
    """Make what was deleted from the mirror unreadable; returns why not. PostgreSQL does that in its own time."""
    is_file = mirror.engine.dialect.name == "sqlite" and mirror.engine.url.database
    return erase_pages(Path(str(mirror.engine.url.database))) if is_file else None
