"""Keeps the quarantine true, inside a load's transaction: what was read and is good is closed, what stepped aside is opened."""

import json
from datetime import datetime

from pipelines.sync.model import StagedLoad
from pipelines.sync.quarantined import NULL_KEY
from pipelines.sync.schema import DELETED_AT, is_restart
from pipelines.warehouses import load_sql as sql
from pipelines.warehouses.dialect import OF_TABLE, Dialect, Later, Run, names_of

_AS_BEFORE = (
    "aside.key = waiting.key and aside.column_name = waiting.column_name and aside.reason = waiting.reason "
    "and aside.original = waiting.original"
)
EXCLUDED = "_daybreak_file varchar, file_row_number bigint, key varchar, column_name varchar, reason varchar, original varchar, day date"


def stage_aside(run: Run, load: StagedLoad) -> None:
    """Make ``aside`` (of the rows that stepped aside, ``excluded``, those that go to quarantine) and ``asked`` (the window's keys)."""
    latest = _latest(run.dialect, load) if load.quarantined and load.may_repeat_keys else ""
    run(f"create or replace temporary table aside as select * from excluded{latest}")
    if load.plan.window.keys:
        run.make_rows("asked", {"key": "varchar"}, [(json.dumps(key, ensure_ascii=False),) for key in load.plan.window.keys])


def _latest(to: Dialect, load: StagedLoad) -> str:
    """Return the conditions of a row's last version: a row that was mended, or broken again, while it was read stands in two chunks."""
    on = " and ".join(f"mended.{to.quote(name)} = bad.{to.quote(name)}" for name in load.spec.key)
    is_later = (
        "(mended._daybreak_file > bad._daybreak_file "
        "or (mended._daybreak_file = bad._daybreak_file and mended.file_row_number > bad.file_row_number))"
    )
    mended = f"select bad._daybreak_file, bad.file_row_number from landed bad join {sql.GOOD} mended on {on} where {is_later}"
    return (
        f" where (_daybreak_file, file_row_number) not in ({mended}) qualify key is null or reason = '{NULL_KEY}' "
        "or row_number() over (partition by key order by _daybreak_file desc, file_row_number desc) = 1"
    )


def replace_quarantine(run: Run, load: StagedLoad, now: datetime) -> None:
    """Close the entries of rows that this load read, open what stepped aside, and leave alone what is as bad as before.

    An entry that stands keeps its load and the time since which the row is bad. One whose row is good now is `fixed`, or
    `replayed` if the row was asked for; one whose row is gone is `fixed` too.
    """
    names = names_of(load.spec)
    mine = f"{OF_TABLE} and state = 'open' and coalesce(key, '') not in (select key from still_bad)"
    good = f"key in ({_landed_open_keys(run.dialect, load)}) and key not in (select key from aside where key is not null)"
    closing = "update daybreak.quarantine set closed_at = $now, state ="
    for scope in _scopes(run.dialect, load):
        if load.plan.window.keys:
            run(f"{closing} 'replayed' where {mine} and {scope} and {good}", now=now, **names)
        run(f"{closing} 'fixed' where {mine} and {scope}", now=now, **names)
    texts = "key, column_name, reason, original, day"
    known = "select key from still_bad"
    if load.plan.window.columns:
        known = f"select key from daybreak.quarantine where {OF_TABLE} and state = 'open' and key is not null"
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


def close_quarantine(later: Later, load: StagedLoad) -> None:
    """Close every open entry of a table that is loaded anew: its rows are all read again, under keys of another kind."""
    closed = "update daybreak.quarantine set state = 'fixed', closed_at = current_timestamp"
    later(f"{closed} where {OF_TABLE} and state = 'open'", **names_of(load.spec))


def _mark_stale(run: Run, load: StagedLoad, names: dict[str, str]) -> None:
    """Note, for each row that stepped aside, the load whose older version of it stands in the table."""
    to = run.dialect
    on = " and ".join(f"target.{to.quote(name)} = landed.{to.quote(name)}" for name in load.spec.key)
    older = (
        "select aside.key, max(target._load_id) as stale_load_id from aside join landed "
        "on landed._daybreak_file = aside._daybreak_file and landed.file_row_number = aside.file_row_number "
        f"join {to.raw_table(load.spec)} as target on {on}{f' and target.{DELETED_AT} is null' if load.watermark.has_marks else ''} "
        "group by aside.key"
    )
    run(
        f"update daybreak.quarantine set stale_load_id = older.stale_load_id from ({older}) older "
        f"where {OF_TABLE} and state = 'open' and quarantine.key = older.key",
        **names,
    )


def _unmark_stale(run: Run, load: StagedLoad, names: dict[str, str]) -> None:
    """Take the mark from entries whose older version is gone: it stood in another day than the row, and that day was loaded."""
    marked = f"{OF_TABLE} and state = 'open' and stale_load_id is not null"
    if run(f"select 1 from daybreak.quarantine where {marked} limit 1", **names):
        to = run.dialect
        open_keys = f"select key from daybreak.quarantine where {marked}"
        matches = sql.key_matches(to, load, "waiting.key", "target")
        stands = f"select waiting.key from ({open_keys}) waiting join {to.raw_table(load.spec)} as target on {matches}"
        run(f"update daybreak.quarantine set stale_load_id = null where {marked} and key not in ({stands})", **names)


def touched_days(to: Dialect, load: StagedLoad) -> str:
    """Return the SELECT of the days that rows which are read again one by one were in or are in, unless they are as bad as before."""
    waiting = f"select * from daybreak.quarantine where {OF_TABLE} and state = 'open'"
    as_before = f"select waiting.key from ({waiting}) waiting join aside on {_AS_BEFORE}"
    moved = f"(select key from asked where key not in ({as_before}))"
    stood = (
        f"select {sql.day_of(to, load, 'target')} as day from {to.raw_table(load.spec)} as target "
        f"join {moved} moved on {sql.key_matches(to, load, 'moved.key', 'target')}"
    )
    landed = f"select {sql.day_of(to, load)} as day from staged"
    return f"{stood} union all {landed} union all select day from ({waiting}) waiting where key in (select key from {moved} moved)"


def forget_quarantine(run: Run, load: StagedLoad, now: datetime) -> None:
    """Delete every entry of the asked keys, open or closed; note that, without naming them, and that there are traces of them."""
    names = names_of(load.spec)
    ((gone, *_),) = run(f"delete from daybreak.quarantine where {OF_TABLE} and key in (select key from asked)", **names)
    run(
        "insert into daybreak.forgotten values ($source, $table, $keys, $load_id, $who, $entries, $now)",
        **names,
        keys=len(load.plan.window.keys),
        load_id=load.plan.load_id,
        who=load.forgotten_by,
        entries=gone,
        now=now,
    )
    run("insert into daybreak.traces (source_name, table_name, noted_at) values ($source, $table, $now)", **names, now=now)


def _scopes(to: Dialect, load: StagedLoad) -> list[str]:
    """Return the conditions of the entries whose rows this load has read, if they are still there."""
    spec = load.spec
    if load.plan.window.keys:
        return ["key in (select key from asked)"]
    if spec.mode == "snapshot":
        return ["true"]
    if load.plan.window.columns:  # the whole row was not read, and it may not stand at all: nothing says that it is good
        return []
    # A row whose key is what no type can hold landed without it: it is known by the key that it stepped aside with.
    scopes = [f"key in ({_landed_open_keys(to, load)} union all select key from aside where reason <> '{NULL_KEY}')"] if spec.key else []
    if spec.mode == "partitioned":
        is_null = load.plan.window.is_null
        scopes.append("day is null" if is_null else "day in (select day from changed union all select day from skipped)")
    elif spec.key:  # rows with a NULL in the key are all read by every load
        scopes.append(f"reason = '{NULL_KEY}'")
    return scopes


def find_still_bad(run: Run, load: StagedLoad) -> None:
    """Make ``still_bad``, the keys whose open entry says just what this load found again.

    Rows without a whole key cannot be told apart, so their entries are closed and opened anew.
    """
    run.make_rows("still_bad", {"key": "varchar"}, [])
    run(
        "insert into still_bad select distinct waiting.key "
        f"from (select * from daybreak.quarantine where {OF_TABLE} and state = 'open' and reason <> '{NULL_KEY}') waiting "
        # A table that is loaded anew has all its entries closed.
        f"join aside on {_AS_BEFORE}{' where false' if is_restart(load.spec, load.changes) else ''}",
        **names_of(load.spec),
    )


def _landed_open_keys(to: Dialect, load: StagedLoad) -> str:
    """Return the SELECT of open quarantine keys that were read again: their parts are compared as text."""
    waiting = f"select key from daybreak.quarantine where {OF_TABLE} and state = 'open'"
    return f"select waiting.key from ({waiting}) waiting join landed on {sql.key_matches(to, load, 'waiting.key', 'landed')}"
