"""What is refused before a table is read: an entry that does not fit it, columns that may not be read, a standby."""

from typing import Any

from pipelines.errors import ConfigError, PrerequisiteError
from pipelines.sources import postgres_sql as sql
from pipelines.sync.spec import TableSpec

CURSOR_TYPES = ("int2", "int4", "int8", "date", "timestamp", "timestamptz")
PARTITION_TYPES = ("date", "timestamp", "timestamptz")


def check_declared(spec: TableSpec, columns: list[sql.PgColumn]) -> None:
    """Refuse an entry that names columns which are not there, or which cannot be what it wants them for."""
    by_name = {column.name: column for column in columns}
    wanted = {
        **dict.fromkeys(spec.key, "key"),
        **dict.fromkeys(spec.masks, "columns"),
        **({spec.cursor: "cursor"} if spec.cursor else {}),
        **({spec.partition.column: "partition.column"} if spec.partition else {}),
    }
    unknown = {name: where for name, where in wanted.items() if name not in by_name}
    problems = [f"{spec.id}: {where} names `{name}`, which the table does not have." for name, where in unknown.items()]
    if problems:
        raise missing(spec, problems)
    for name, allowed in ((spec.cursor, CURSOR_TYPES), (spec.partition and spec.partition.column, PARTITION_TYPES)):
        if name and by_name[name].type.name not in allowed:
            problems.append(f"{spec.id}: `{name}` is {by_name[name].type.sql_name}; it must be one of {', '.join(allowed)}.")
    if problems:
        raise ConfigError(problems, safe="Nothing was read.", remedy="Choose another column, or mode snapshot.")


def check_readable(spec: TableSpec, rows: list[dict[str, Any]]) -> None:
    """Refuse a table of which the user may not read a column that is to land."""
    closed = [row["name"] for row in rows if not row["readable"] and spec.masks.get(row["name"]) != "drop"]
    if closed:
        told = ", ".join(f"`{name}`" for name in closed)
        raise PrerequisiteError(
            [f"{spec.id}: the user may not read {told} of {spec.schema}.{spec.source_table}."],
            safe="Nothing was written; the last load stands.",
            remedy=f"GRANT SELECT on the table, or leave what must not be read out with `mask: drop` in the entry `{spec.name}`.",
        )


def missing(spec: TableSpec, problems: list[str]) -> PrerequisiteError:
    """Return what is raised when the entry and the source do not fit."""
    remedy = f"Mend the entry `{spec.name}` of the catalog, or the source."
    return PrerequisiteError(problems, safe="Nothing was written; the last load stands.", remedy=remedy)


def blind_standby(spec: TableSpec) -> PrerequisiteError:
    """Return what is raised when an incremental table is to be read from a standby."""
    # Its snapshots list the primary's transactions that have written. One that has only begun is not in them, and what it writes
    # later has a `now()` of before this sync.
    return PrerequisiteError(
        [f"{spec.id} is incremental, and its source is a standby: it does not show which transactions are open on the primary."],
        safe="Nothing was read; rows that such a transaction commits later would have been lost.",
        remedy=f"Read from the primary, or declare `{spec.name}` as a snapshot or partitioned.",
    )
