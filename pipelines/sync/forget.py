"""Has a row forgotten: out of the table, the quarantine and the landed files, on a record that does not name it.

Not here: what is built from the table, texts that name the row, and old blocks of the warehouse's files (``pipelines.forgetting``).
"""

import json
from dataclasses import dataclass

from pipelines.errors import ConfigError, LoadConflict, PrerequisiteError
from pipelines.landing.cleaning import find_busy_load, purge_table
from pipelines.sync.changes import describe_table
from pipelines.sync.context import Engine
from pipelines.sync.gating import GatedLoad
from pipelines.sync.load import ReadyLoad, commit_load
from pipelines.sync.model import Bound, LedgerEntry, Part, Window
from pipelines.sync.protocols import ReadRequest
from pipelines.sync.reread import plan_keys
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec

# Equal values of these can differ as text (1.1 and 1.10, 3 and 3.0), and rows are found by their key's text.
_VAGUE_TYPES = ("real", "double precision", "numeric", "citext")


@dataclass(frozen=True)
class Forgotten:
    """What was deleted. ``key`` is in the source's own text; ``entry`` is the ledger's, None for a table that was never loaded."""

    key: Bound
    entry: LedgerEntry | None
    quarantine_entries: int
    landed_loads: int


def forget_row(engine: Engine, spec: TableSpec, key: Bound, forgotten_by: str) -> Forgotten:
    """Delete the row of ``key`` and every landed file of its table. Safe to do again.

    Raises ``ConfigError`` for a table without a key and for what cannot be its key, ``PrerequisiteError`` if the row is still in
    the source, because the next sync would bring it back, and ``LoadConflict`` if another run works on the table.
    """
    _check_key(spec, key)
    spec, schema = describe_table(engine.source, spec, engine.mirror.schema(spec.id))
    key = engine.source.read_key(spec, key)
    _check_source(engine, spec, schema, key)
    if busy := find_busy_load(engine.landing, spec):
        raise LoadConflict(
            "another run is loading this table now, and may have read the row before it was deleted.",
            safe="Nothing was changed.",
            remedy="Forget the row when that run is over.",
            table=spec.id,
            load_id=busy,
        )
    engine.mirror.repair(engine.warehouse.read_state([spec.id]), [spec.id])
    landed = purge_table(engine.landing, spec)  # first: if this ends half-way, what is left is found by doing it again
    if engine.mirror.status(spec.id).load_id is None:
        return Forgotten(key, None, 0, landed)
    entries = len(engine.warehouse.read_quarantine(spec, None, json.dumps(key, ensure_ascii=False), None))
    planned = plan_keys(engine, spec, schema, [key])
    with engine.landing.open_load(spec, planned) as folder:
        try:
            entry = commit_load(engine, spec, ReadyLoad(folder, GatedLoad(), forgotten_by=forgotten_by))
        finally:
            folder.discard()  # its plan names the row
    return Forgotten(key, entry, entries, landed)


def _check_key(spec: TableSpec, key: Bound) -> None:
    if not spec.key:
        raise ConfigError(
            [f"{spec.id} has no key, so no row of it can be named."],
            safe="Nothing was changed.",
            remedy=f"Delete the row in the source and run `daybreak sync {spec.source} {spec.name}`: the table is replaced as a whole. "
            "Its landed files and closed quarantine entries go with their retention.",
        )
    if len(key) != len(spec.key):
        problem = f"{spec.id} has the key ({', '.join(spec.key)}), and {len(key)} value(s) were given."
        raise ConfigError([problem], safe="Nothing was changed.", remedy="Give one value for each column of the key, in this order.")


def _check_source(engine: Engine, spec: TableSpec, schema: TableSchema, key: Bound) -> None:
    if vague := [name for name in spec.key if schema.column(name).source_type in _VAGUE_TYPES]:
        raise ConfigError(
            [f"{spec.id}: {', '.join(vague)} is {schema.column(vague[0]).source_type}, of which one value can be written in several ways."],
            safe="Nothing was changed.",
            remedy="Delete the row in the source; a `snapshot` then loses it with the next sync, and its files with retention.",
        )
    part: Part = "window" if schema.has_unique_key else "stream"
    request = ReadRequest(spec, schema, Window(keys=(key,)), part, None, 2, engine.chunk_bytes)
    chunks = engine.source.read_stream(request) if part == "stream" else iter([engine.source.read_chunk(request)])
    if any(chunk.rows.num_rows for chunk in chunks):
        raise PrerequisiteError(
            [f"{spec.id}: the row is still in the source, so the next sync would bring it back."],
            safe="Nothing was changed.",
            remedy="Delete it in the source first.",
        )
