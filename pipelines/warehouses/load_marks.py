"""The marks of deleted rows in a raw table, inside a load's transaction: the column `_deleted_at`, and who has it set.

A row is marked by the load that finds it gone from the source, and loses its mark to the MERGE that finds it there again; both
statements are ``load_sql``'s. Not here: what a comparison makes of such rows (``parity_side``).
"""

from collections.abc import Collection
from typing import Any

from pipelines.sync.model import StagedLoad, Watermark
from pipelines.sync.schema import DELETED_AT
from pipelines.warehouses import load_sql as sql
from pipelines.warehouses.dialect import Run
from pipelines.warehouses.load_ddl import kept_name, rename_column


def make_room(run: Run, load: StagedLoad, before: Watermark | None) -> tuple[str, str] | None:
    """Keep a column of the source's that has the marks' name under another one; return both names, or None if there is none.

    It is one that the source dropped, or that is left out by a mask now: one that lands is refused before anything is read.
    """
    if before is None or before.has_marks or not load.watermark.has_marks:
        return None
    standing = {name.casefold(): name for name in run.columns(load.spec)}
    if DELETED_AT not in standing:
        return None
    kept = kept_name(DELETED_AT, load.plan.schema_version, standing)
    run(rename_column(run.dialect, run.dialect.raw_table(load.spec), standing[DELETED_AT], kept))
    return DELETED_AT, kept


def add_column(run: Run, load: StagedLoad, standing: Collection[str]) -> None:
    """Give the raw table the column, if it is to have it and has not."""
    if load.watermark.has_marks and DELETED_AT not in standing:
        run(f"alter table {run.dialect.raw_table(load.spec)} add column if not exists {run.dialect.mark_column}")


def count_marked(run: Run, load: StagedLoad) -> int:
    """Return how many rows of the table are marked."""
    return _count(run, f"select count({DELETED_AT}) from {run.dialect.raw_table(load.spec)}") if load.watermark.has_marks else 0


def count_back(run: Run, load: StagedLoad) -> int:
    """Return how many rows are marked and are to be loaded, so that they lose their mark: they are in the source again."""
    return _count(run, sql.count_back(run.dialect, load)) if load.watermark.has_marks else 0


def delete_vanished(run: Run, load: StagedLoad, **stamp: Any) -> tuple[int, int]:  # noqa: ANN401 - SQL values
    """Delete or mark the rows that are gone; return how many, and how many of those that were deleted had been marked before."""
    statement = sql.delete_vanished(run.dialect, load)
    if statement is None:
        return 0, 0
    marked = count_marked(run, load)
    deleted = int(run(statement, **stamp)[0][0])
    return deleted, 0 if load.is_marking else marked - count_marked(run, load)


def _count(run: Run, query: str) -> int:
    return int(run(query)[0][0])
