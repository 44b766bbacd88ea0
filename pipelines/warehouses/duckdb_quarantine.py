"""Keeps the quarantine true, inside a load's transaction: what was read and is good is closed, what stepped aside is opened."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pipelines.landing.scan import parquet_pattern, quote
from pipelines.sync.model import NULL_KEY, StagedLoad
from pipelines.sync.schema import DELETED_AT
from pipelines.warehouses import duckdb_sql as sql

Run = Callable[..., list[tuple[Any, ...]]]

_MINE = "source_name = $source and table_name = $table"


def stage_aside(run: Run, load: StagedLoad) -> None:
    """Make ``excluded`` (the landed rows that stepped aside), ``aside`` (those that go to quarantine) and ``asked`` (the window's keys)."""
    texts = "key varchar, column_name varchar, reason varchar, original varchar, day date"
    run(f"create temp table excluded (_daybreak_file varchar, file_row_number bigint, {texts})")
    for file in load.files:
        if file.aside_path:
            columns = 'position, key, "column", reason, original, day'
            read = "read_parquet($aside, hive_partitioning = false)"
            run(f"insert into excluded select $path, {columns} from {read}", path=file.path, aside=parquet_pattern(file.aside_path))
    run(f"create temp table aside as select * from excluded{_latest(load) if load.quarantined and load.may_repeat_keys else ''}")
    run("create temp table asked (key varchar)")
    if load.plan.window.keys:
        keys = [json.dumps(key, ensure_ascii=False) for key in load.plan.window.keys]
        run("insert into asked select unnest($keys)", keys=keys)


def _latest(load: StagedLoad) -> str:
    """Return the conditions of a row's last version: a row that was mended, or broken again, while it was read stands in two chunks."""
    on = " and ".join(f"mended.{quote(name)} = bad.{quote(name)}" for name in load.spec.key)
    mended = (
        f"select bad._daybreak_file, bad.file_row_number from landed bad join (select * from landed anti join excluded "
        f"using (_daybreak_file, file_row_number)) mended on {on} "
        "where (mended._daybreak_file, mended.file_row_number) > (bad._daybreak_file, bad.file_row_number)"
    )
    return (
        f" where (_daybreak_file, file_row_number) not in ({mended}) qualify key is null or reason = '{NULL_KEY}' "
        "or row_number() over (partition by key order by _daybreak_file desc, file_row_number desc) = 1"
    )


def replace_quarantine(run: Run, load: StagedLoad, now: datetime) -> None:
    """Close the entries of rows that this load read, open what stepped aside, and leave alone what is as bad as before.

    An entry that stands keeps its load and the time since which the row is bad. One whose row is good now is `fixed`, or
    `replayed` if the row was asked for; one whose row is gone is `fixed` too.
    """
    names = _names(load)
    _find_still_bad(run, names)
    mine = f"{_MINE} and state = 'open' and coalesce(key, '') not in (select key from still_bad)"
    good = f"key in ({_landed_open_keys(load)}) and key not in (select key from aside where key is not null)"
    replayed = f"case when {good} then 'replayed' else 'fixed' end" if load.plan.window.keys else "'fixed'"
    for scope in _scopes(load):
        run(f"update daybreak.quarantine set state = {replayed}, closed_at = $now where {mine} and {scope}", now=now, **names)
    texts = "key, column_name, reason, original, day"
    known = "select key from still_bad"
    if load.plan.window.columns:
        known = f"select key from daybreak.quarantine where {_MINE} and state = 'open' and key is not null"
    run(
        f"insert into daybreak.quarantine (source_name, table_name, {texts}, load_id, state, quarantined_at) "
        f"select $source, $table, {texts}, $load_id, 'open', $now from aside "
        f"where key is null or reason = '{NULL_KEY}' or key not in ({known})",
        **names,
        load_id=load.plan.load_id,
        now=now,
    )
    if load.quarantined and load.spec.key:
        _mark_stale(run, load, names)
    if load.spec.mode == "partitioned" and load.spec.key:
        _unmark_stale(run, load, names)


def close_quarantine(run: Run, load: StagedLoad) -> None:
    """Close every open entry of a table that is loaded anew: its rows are all read again, under keys of another kind."""
    run(f"update daybreak.quarantine set state = 'fixed', closed_at = now() where {_MINE} and state = 'open'", **_names(load))


def _names(load: StagedLoad) -> dict[str, str]:
    return {"source": load.spec.source, "table": load.spec.name}


def _mark_stale(run: Run, load: StagedLoad, names: dict[str, str]) -> None:
    """Note, for each row that stepped aside, the load whose older version of it stands in the table."""
    on = " and ".join(f"target.{quote(name)} = landed.{quote(name)}" for name in load.spec.key)
    older = (
        f"select aside.key, target._load_id as stale_load_id from aside join landed using (_daybreak_file, file_row_number) "
        f"join {sql.raw_table(load.spec)} target on {on}{f' and target.{DELETED_AT} is null' if load.watermark.has_marks else ''}"
    )
    run(
        f"update daybreak.quarantine set stale_load_id = older.stale_load_id from ({older}) older "
        f"where {_MINE} and state = 'open' and quarantine.key = older.key",
        **names,
    )


def _unmark_stale(run: Run, load: StagedLoad, names: dict[str, str]) -> None:
    """Take the mark from entries whose older version is gone: it stood in another day than the row, and that day was loaded."""
    marked = f"{_MINE} and state = 'open' and stale_load_id is not null"
    if run(f"select 1 from daybreak.quarantine where {marked} limit 1", **names):
        stands = f"select 1 from {sql.raw_table(load.spec)} target where {sql.key_matches(load, 'quarantine.key', 'target')}"
        run(f"update daybreak.quarantine set stale_load_id = null where {marked} and not exists ({stands})", **names)


def touched_days(load: StagedLoad) -> str:
    """Return the SELECT of the days that rows which are read again one by one were in or are in, unless they are as bad as before."""
    waiting = f"select * from daybreak.quarantine where {_MINE} and state = 'open'"
    as_before = f"select key from ({waiting}) semi join aside using (key, column_name, reason, original)"
    moved = f"(select key from asked where key not in ({as_before}))"
    stood = (
        f"select {sql.day_of(load, 'target')} as day from {sql.raw_table(load.spec)} target "
        f"semi join {moved} moved on {sql.key_matches(load, 'moved.key', 'target')}"
    )
    return f"{stood} union all select {sql.day_of(load)} from staged union all select day from ({waiting}) semi join {moved} using (key)"


def forget_quarantine(run: Run, load: StagedLoad, now: datetime) -> None:
    """Delete every entry of the asked keys, open or closed; note that, without naming them, and that there are traces of them."""
    names = _names(load)
    gone = run(f"delete from daybreak.quarantine where {_MINE} and key in (select key from asked) returning 1", **names)
    run(
        "insert into daybreak.forgotten values ($source, $table, $keys, $load_id, $who, $entries, $now)",
        **names,
        keys=len(load.plan.window.keys),
        load_id=load.plan.load_id,
        who=load.forgotten_by,
        entries=len(gone),
        now=now,
    )
    run("insert into daybreak.traces values ($source, $table, $now, null)", **names, now=now)


def _scopes(load: StagedLoad) -> list[str]:
    """Return the conditions of the entries whose rows this load has read, if they are still there."""
    spec = load.spec
    if load.plan.window.keys:
        return ["key in (select key from asked)"]
    if spec.mode == "snapshot":
        return ["true"]
    if load.plan.window.columns:  # the whole row was not read, and it may not stand at all: nothing says that it is good
        return []
    # A row whose key is what no type can hold landed without it: it is known by the key that it stepped aside with.
    scopes = [f"key in ({_landed_open_keys(load)} union all select key from aside where reason <> '{NULL_KEY}')"] if spec.key else []
    if spec.mode == "partitioned":
        is_null = load.plan.window.is_null
        scopes.append("day is null" if is_null else "day in (select day from changed union all select day from skipped)")
    elif spec.key:  # rows with a NULL in the key are all read by every load
        scopes.append(f"reason = '{NULL_KEY}'")
    return scopes


def _find_still_bad(run: Run, names: dict[str, str]) -> None:
    """Make ``still_bad``, the keys whose open entry says just what this load found again.

    Rows without a whole key cannot be told apart, so their entries are closed and opened anew.
    """
    run(
        "create temp table still_bad as "
        "select distinct key from daybreak.quarantine semi join aside using (key, column_name, reason, original) "
        f"where {_MINE} and state = 'open' and key is not null and reason <> '{NULL_KEY}'",
        **names,
    )


def _landed_open_keys(load: StagedLoad) -> str:
    """Return the SELECT of open quarantine keys that were read again: their parts are compared as text."""
    return (
        f"select waiting.key from daybreak.quarantine waiting semi join landed on {sql.key_matches(load, 'waiting.key', 'landed')} "
        "where waiting.source_name = $source and waiting.table_name = $table and waiting.state = 'open'"
    )
