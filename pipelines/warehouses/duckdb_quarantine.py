"""Keeps the quarantine true, inside a load's transaction: what was read and is good is closed, what stepped aside is opened."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pipelines.landing.scan import quote
from pipelines.sync.model import NULL_KEY, QuarantinedRow, StagedLoad
from pipelines.warehouses import duckdb_sql as sql

Run = Callable[..., list[tuple[Any, ...]]]

_INSERT = "insert into daybreak.quarantine values ($source, $table, $key, $column, $reason, $original, $day, $load_id, 'open', $now, null)"


def replace_quarantine(run: Run, load: StagedLoad, now: datetime) -> None:
    """Close the entries of rows that this load read, open what stepped aside, and leave alone what is as bad as before.

    An entry that stands keeps its load and the time since which the row is bad.
    """
    names = {"source": load.spec.source, "table": load.spec.name}
    still_bad = _still_bad(run, load, names)
    mine = "source_name = $source and table_name = $table and state = 'open' and coalesce(key, '') not in (select key from still_bad)"
    for scope in _scopes(load):
        run(f"update daybreak.quarantine set state = 'fixed', closed_at = $now where {mine} and {scope}", now=now, **names)
    for row in load.quarantined:
        if row.key is None or row.key not in still_bad:
            _insert(run, load, row, now)


def _scopes(load: StagedLoad) -> list[str]:
    """Return the conditions of the entries whose rows this load has read, if they are still there."""
    spec = load.spec
    if spec.mode == "snapshot":
        return ["true"]
    scopes = [f"key in ({_landed_open_keys(load)})"] if spec.key else []
    if spec.mode == "partitioned":
        is_null = load.plan.window.is_null
        scopes.append("day is null" if is_null else "day in (select day from changed union all select day from skipped)")
    elif spec.key:  # rows with a NULL in the key are all read by every load
        scopes.append(f"reason = '{NULL_KEY}'")
    return scopes


def _still_bad(run: Run, load: StagedLoad, names: dict[str, str]) -> set[str]:
    """Return the keys whose open entry says just what this load found again, and keep them in the table ``still_bad``.

    Rows without a whole key cannot be told apart, so their entries are closed and opened anew.
    """
    found = {(row.key, row.column, row.reason, row.original) for row in load.quarantined if row.key and row.reason != NULL_KEY}
    stands = "select key, column_name, reason, original from daybreak.quarantine where source_name = $source and table_name = $table"
    keys = {entry[0] for entry in run(f"{stands} and state = 'open'", **names) if entry in found}
    run("create temp table still_bad (key varchar)")
    if keys:
        run("insert into still_bad select unnest($keys)", keys=sorted(keys))
    return keys


def _landed_open_keys(load: StagedLoad) -> str:
    """Return the SELECT of open quarantine keys that were read again: their parts are compared as text."""
    types = {column.name: column.arrow_type for column in load.columns}
    parts = [
        f"json_extract_string(waiting.key, '$[{number}]') = {sql.as_text(f'landed.{quote(name)}', types[name])}"
        for number, name in enumerate(load.spec.key)
    ]
    return (
        f"select waiting.key from daybreak.quarantine waiting semi join landed on {' and '.join(parts)} "
        "where waiting.source_name = $source and waiting.table_name = $table and waiting.state = 'open'"
    )


def _insert(run: Run, load: StagedLoad, row: QuarantinedRow, now: datetime) -> None:
    run(
        _INSERT,
        source=load.spec.source,
        table=load.spec.name,
        key=row.key,
        column=row.column,
        reason=row.reason,
        original=row.original,
        day=row.day,
        load_id=load.plan.load_id,
        now=now,
    )
