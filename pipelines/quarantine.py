"""The quarantine as people use it: what stands in it and why, which loads are held, reading rows again, letting a held load in.

From settings to plain answers, for the command line and for whatever else asks. Not here: how rows are judged (``sync.gating``),
read again (``sync.reread``) and let in (``sync.release``), and how answers look (``cli.quarantine_output``).
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pipelines.errors import ConfigError, DaybreakError, LoadConflict, PrerequisiteError, SchemaRefused
from pipelines.landing.held import HeldLoad, list_held
from pipelines.settings import Settings
from pipelines.sync.context import Engine
from pipelines.sync.model import TableResult
from pipelines.sync.quarantined import QuarantineCount, QuarantineEntry, QuarantineState
from pipelines.sync.release import Release, release_load, why_superseded
from pipelines.sync.reread import replay_quarantine
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.warehouses import is_made, open_warehouse
from pipelines.wiring import PAUSE_SECONDS, TRIES, SyncRequest, open_engine, open_landing, open_mirror

NOT_IN_CATALOG = "the table is not in the catalog any more"
EXAMPLES = 3  # keys shown to somebody who asked for one that is not there


@dataclass(frozen=True)
class HeldRow:
    """A held load as it is listed. ``told`` says why it is superseded; ``mornings`` are the table's, in a row."""

    load_id: str
    table: str  # id
    rows: int
    held_at: datetime
    mornings: int
    reason: str
    state: Literal["waiting", "superseded"]
    told: str = ""


@dataclass(frozen=True)
class EntriesRequest:
    """Which entries of a table to show: of one key (its values as text, in the key's order), of one state (None: all)."""

    source: str
    table: str
    key: tuple[str, ...] = ()
    state: QuarantineState | None = "open"
    limit: int | None = 20


@dataclass(frozen=True)
class Replayed:
    """What became of a table's open rows that were read again.

    Rows without a whole key cannot be asked for, so the table (or their days) was synced: ``unnamed_closed`` of them are mended
    or gone. ``problem`` says why the table, or a part of it, was not read again.
    """

    table: str  # id
    good: int = 0
    still_bad: int = 0
    gone: int = 0
    unnamed_closed: int = 0
    problem: str | None = None


def list_quarantine(settings: Settings) -> tuple[Sequence[QuarantineCount], Sequence[HeldRow]]:
    """Return what stands in quarantine by table, column and reason, and the held loads, oldest first."""
    tables = {table.id: table for source in settings.sources() for table in source.tables}
    if not is_made(settings.warehouse_url):
        return (), ()
    warehouse, mirror = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds), open_mirror(settings.state_url)
    mirror.repair(warehouse.read_state(list(tables)), list(tables))
    held = []
    for load in list_held(open_landing(settings)):
        spec = tables.get(load.plan.table)
        moved = why_superseded(mirror, spec, load.plan) if spec else NOT_IN_CATALOG
        mornings, state = mirror.status(load.plan.table).held_mornings, "superseded" if moved else "waiting"
        plan = load.plan
        held.append(HeldRow(plan.load_id, plan.table, load.rows, load.held_at, mornings, load.reason, state, moved or ""))  # type: ignore[arg-type]
    return warehouse.count_quarantine(list(tables)), held


def show_entries(settings: Settings, request: EntriesRequest) -> Sequence[QuarantineEntry]:
    """Return entries of a table, oldest first. Raises ``ConfigError`` for a source, table or key that is not there."""
    _, (spec,) = settings.tables(request.source, [request.table])
    if not is_made(settings.warehouse_url):
        return ()
    warehouse = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds)
    key = _as_json(spec, request.key)
    entries = warehouse.read_quarantine(spec, request.state, key, request.limit)
    if key and not entries:
        others = warehouse.read_quarantine(spec, request.state, None, EXAMPLES)
        raise _unknown_key(spec, request.key, [entry.key for entry in others if entry.key])
    return entries


def replay_tables(settings: Settings, source: str, table: str | None = None, key: tuple[str, ...] = ()) -> Sequence[Replayed]:
    """Read the open rows of a table (or of all tables of a source) again and load what is good now.

    Of several tables, one that cannot be read again has its ``problem`` told and the others go on; of one, it is raised.
    Raises ``ConfigError`` for a source, table or key that is not there.
    """
    found, tables = settings.tables(source, () if table is None else [table])
    if key and table is None:
        raise ConfigError(["A key is of one table."], safe="Nothing was read.", remedy=f"daybreak quarantine replay {source} TABLE --key …")
    results = []
    for spec in tables:
        with open_engine(settings, SyncRequest(found, (spec,))) as engine:
            try:
                results.append(_replay(engine, spec, key))
            except (ConfigError, PrerequisiteError, SchemaRefused) as error:
                if len(tables) == 1:
                    raise
                results.append(Replayed(spec.id, problem=str(error)))
    return results


def _replay(engine: Engine, spec: TableSpec, key: tuple[str, ...]) -> Replayed:
    text = _as_json(spec, key)
    waiting = engine.warehouse.find_waiting(spec, text)
    if text and not (waiting.keys or waiting.unnamed):
        raise _unknown_key(spec, key, engine.warehouse.find_waiting(spec, None).keys[:EXAMPLES])
    if not (waiting.keys or waiting.unnamed):
        return Replayed(spec.id)
    result = replay_quarantine(engine, spec, text)
    left = engine.warehouse.find_waiting(spec, text).unnamed if waiting.unnamed else 0
    return _summarise(result, waiting.unnamed, left)


def _summarise(result: TableResult, unnamed_before: int, unnamed_left: int) -> Replayed:
    loads = [entry for entry in result.loads if "keys" in entry.window]
    read, aside = sum(entry.counts.read for entry in loads), sum(entry.counts.quarantined for entry in loads)
    return Replayed(
        table=result.table,
        good=read - aside,
        still_bad=aside + unnamed_left,
        gone=sum(entry.window["keys"] for entry in loads) - read,
        unnamed_closed=max(0, unnamed_before - unnamed_left),
        problem=result.held_reason,
    )


def release(settings: Settings, load_id: str, released_by: str) -> tuple[HeldLoad, Release]:
    """Let a held load in. Raises ``ConfigError`` if no load of that id is held, ``LoadConflict`` if another run is in the way."""
    for attempt in range(TRIES):
        held = _find_held(settings, load_id)
        source, spec = _find_spec(settings, held)
        if spec is None or source is None:
            return held, Release("superseded", NOT_IN_CATALOG)
        try:
            with open_engine(settings, SyncRequest(source, (spec,))) as engine:
                return held, release_load(engine, spec, held, released_by)
        except LoadConflict:
            if attempt + 1 == TRIES:
                raise
        time.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the loop returns or raises")


def _find_held(settings: Settings, load_id: str) -> HeldLoad:
    every = list_held(open_landing(settings))
    for held in every:
        if held.plan.load_id == load_id:
            return held
    entry = None
    if is_made(settings.warehouse_url):
        entry = open_warehouse(settings.warehouse_url, settings.lock_wait_seconds).find_load(load_id)
    what = f"The load {load_id} was committed at {entry.committed_at:%Y-%m-%d %H:%M:%S}." if entry else f"No load {load_id} is held."
    known = ", ".join(held.plan.load_id for held in every[-EXAMPLES:])
    remedy = f"Held loads: {known}; all: daybreak quarantine list" if known else "No load is held; see daybreak status."
    raise ConfigError([what], safe="Nothing was changed.", remedy=remedy)


def _find_spec(settings: Settings, held: HeldLoad) -> tuple[SourceSpec | None, TableSpec | None]:
    pairs = ((source, table) for source in settings.sources() for table in source.tables)
    return next(((source, table) for source, table in pairs if table.id == held.plan.table), (None, None))


def _as_json(spec: TableSpec, key: tuple[str, ...]) -> str | None:
    """Return a key as the quarantine has it. Raises ``ConfigError`` for a wrong number of values."""
    if not key:
        return None
    if not spec.key:
        problem, remedy = f"{spec.id} has no key, so no row of it can be named.", "Leave --key out: all its rows are meant."
        raise ConfigError([problem], safe="Nothing was read.", remedy=remedy)
    if len(key) != len(spec.key):
        problem = f"{spec.id} has the key ({', '.join(spec.key)}), and {len(key)} value{'' if len(key) == 1 else 's'} came."
        raise ConfigError([problem], safe="Nothing was read.", remedy="Give --key once for each column of the key, in this order.")
    return json.dumps(key, ensure_ascii=False)


def _unknown_key(spec: TableSpec, key: tuple[str, ...], known: Sequence[str]) -> DaybreakError:
    told = f"{spec.id}: no such row with the key ({', '.join(key)}) is in quarantine."
    there = "; ".join(f"({', '.join(str(part) for part in json.loads(text))})" for text in known)
    remedy = (
        f"Keys are written as they stand there, for example {there}."
        if there
        else f"See daybreak quarantine show {spec.source} {spec.name} --state all."
    )
    return ConfigError([told], safe="Nothing was changed.", remedy=remedy)
