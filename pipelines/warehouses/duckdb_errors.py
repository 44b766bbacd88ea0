"""DuckDB's errors as ours: what to do next decides the class. A test fails when one of the driver's classes is not translated."""

from pathlib import Path
from typing import NoReturn

import duckdb

from pipelines.errors import LoadConflict, PrerequisiteError, WarehouseUnavailable


def is_locked(error: duckdb.Error) -> bool:
    """Whether another program has the file open."""
    return isinstance(error, duckdb.IOException) and ("Conflicting lock" in str(error) or "Could not set lock" in str(error))


def translate(file: Path, error: duckdb.Error) -> NoReturn:
    """Raise our error for DuckDB's."""
    text = str(error).strip()
    if is_locked(error):
        raise WarehouseUnavailable(
            f"another program has {file} open: {text.split('. ')[0]}.",
            safe="Nothing was written.",
            remedy=f"Close it; people and BI tools read {file.with_name(f'{file.stem}.read{file.suffix}').name} instead.",
        ) from error
    if isinstance(error, duckdb.TransactionException):
        raise LoadConflict(f"DuckDB refused the transaction: {text}", safe="Nothing was committed.", remedy="Run again.") from error
    if isinstance(error, (duckdb.ConnectionException, duckdb.InterruptException)):
        what = f"the warehouse {file} did not answer: {text}"
        raise WarehouseUnavailable(what, safe="Nothing was committed.", remedy="Run again.") from error
    remedies: dict[type[duckdb.Error], str] = {
        duckdb.IOException: "Free space, mend its permissions, or restore the file (and delete nothing else: the next run reads on).",
        duckdb.OutOfMemoryException: "Give the machine more memory, or lower DAYBREAK_PARALLEL_TABLES.",
    }
    by_hand = "If the raw table was altered by hand, undo it; otherwise this is a defect of Daybreak: keep the landing folder."
    raise PrerequisiteError(
        [f"The warehouse {file} cannot be read or written: {type(error).__name__}: {text}"],
        safe="Nothing was committed.",
        remedy=remedies.get(type(error), by_hand),
    ) from error
