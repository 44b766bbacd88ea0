"""The errors that people see, ordered by what to do next.

::

    DaybreakError
    ├── ConfigError           fix the catalog or the environment; reports every problem at once
    ├── PrerequisiteError     fix the machine, the database or a privilege; reports every problem at once
    │   └── TableMissing      the source has no table of that name
    ├── SourceUnavailable ↻   the source did not answer; the next run reads on
    ├── SchemaRefused         the source changed in a way that a person must allow
    ├── LandingCorrupt        a landed file is not what its manifest says
    ├── LandingUnavailable ↻  the bucket of the landing did not answer; finished chunks are kept
    ├── WarehouseUnavailable ↻ the warehouse did not answer, or somebody holds its lock
    ├── LoadConflict ↻        another run committed first; plan again
    ├── CommitUnknown ↻       the connection broke while committing; ask the ledger
    └── ParityBroken          more rows differ than can be named

↻ = may be retried. Every message says what happened, what is safe now and what to do.
"""

from collections.abc import Sequence
from typing import ClassVar


class DaybreakError(Exception):
    """What happened, what is safe now, and what to do, with the facts as attributes."""

    is_retryable: ClassVar[bool] = False
    separator: ClassVar[str] = " "  # between what happened, what is safe and what to do

    def __init__(self, what: str, *, safe: str, remedy: str, table: str | None = None, load_id: str | None = None) -> None:
        """Keep the facts; ``str()`` renders them as one paragraph."""
        self.what, self.safe, self.remedy, self.table, self.load_id = what, safe, remedy, table, load_id
        where = ", ".join(part for part in (table and f"Table `{table}`", load_id and f"load `{load_id}`") if part)
        told = (f"{where}: {what}" if where else what, f"{safe} {remedy}".strip())
        super().__init__(self.separator.join(part for part in told if part))


class _ManyProblems(DaybreakError):
    separator = "\n"

    def __init__(self, problems: Sequence[str], *, safe: str, remedy: str) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(problems), safe=safe, remedy=remedy)


class ConfigError(_ManyProblems):
    """The catalog or the environment is wrong."""


class PrerequisiteError(_ManyProblems):
    """Something outside of this project is missing: a privilege, a version, a folder."""


class TableMissing(PrerequisiteError):
    """The source has no table or view of the name that the catalog says, or does not show it."""


class SourceUnavailable(DaybreakError):
    """The source database did not answer, or stopped answering."""

    is_retryable = True


class SchemaRefused(DaybreakError):
    """The source's schema changed in a way that the table's contract does not allow."""


class LandingCorrupt(DaybreakError):
    """A landed file is missing or is not what its manifest says."""


class LandingUnavailable(DaybreakError):
    """The bucket that loads are kept in did not answer, or refused more work just now."""

    is_retryable = True


class WarehouseUnavailable(DaybreakError):
    """The warehouse did not answer, or another process holds its lock for too long."""

    is_retryable = True


class LoadConflict(DaybreakError):
    """Another run committed this table since the load was planned."""

    is_retryable = True


class CommitUnknown(DaybreakError):
    """The connection broke while committing: only the ledger knows whether it happened."""

    is_retryable = True


class ParityBroken(DaybreakError):
    """More rows of source and warehouse differ than can be named one by one."""
