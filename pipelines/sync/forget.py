"""Has rows forgotten: out of the table, the quarantine and the landed files, on a record that does not name them.

Not here: what is built from the table, and old blocks of the warehouse's files (``Warehouse.erase_traces``).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.errors import ConfigError, PrerequisiteError
from pipelines.sync.context import Engine
from pipelines.sync.gating import GatedLoad
from pipelines.sync.load import ReadyLoad, commit_load
from pipelines.sync.model import Bound, LedgerEntry, Part, Window
from pipelines.sync.protocols import ReadRequest
from pipelines.sync.reread import plan_keys
from pipelines.sync.spec import TableSpec


@dataclass(frozen=True)
class Forgotten:
    """What was deleted. ``entry`` is the ledger's; None for a table that was never loaded."""

    entry: LedgerEntry | None
    landed_loads: int


def forget_rows(engine: Engine, spec: TableSpec, keys: Sequence[Bound], forgotten_by: str) -> Forgotten:
    """Delete the rows of ``keys`` and every landed file of their table. Safe to do again.

    Raises ``ConfigError`` for a table without a key or a key of the wrong width, ``PrerequisiteError`` if a row is still in the
    source, because the next sync would bring it back.
    """
    _check_keys(spec, keys)
    _check_source(engine, spec, keys)
    schema, entry = engine.mirror.schema(spec.id), None
    if schema is not None:
        planned = plan_keys(engine, spec, schema, keys)
        with engine.landing.open_load(spec, planned) as folder:
            entry = commit_load(engine, spec, ReadyLoad(folder, GatedLoad(), forgotten_by=forgotten_by))
    return Forgotten(entry, engine.landing.purge_table(spec))


def _check_keys(spec: TableSpec, keys: Sequence[Bound]) -> None:
    if not spec.key:
        problem = f"{spec.id} has no key, so no row of it can be named."
        raise ConfigError([problem], safe="Nothing was changed.", remedy="Delete the rows in the source and sync: a snapshot follows.")
    if wrong := [key for key in keys if len(key) != len(spec.key)]:
        problem = f"{spec.id} has the key ({', '.join(spec.key)}), and {len(wrong[0])} value(s) were given."
        raise ConfigError([problem], safe="Nothing was changed.", remedy="Give one value for each column of the key, in this order.")


def _check_source(engine: Engine, spec: TableSpec, keys: Sequence[Bound]) -> None:
    schema = engine.source.describe(spec)
    part: Part = "window" if schema.has_unique_key else "stream"
    request = ReadRequest(spec, schema, Window(keys=tuple(keys)), part, None, len(keys) + 1, engine.chunk_bytes)
    chunks = engine.source.read_stream(request) if part == "stream" else iter([engine.source.read_chunk(request)])
    if found := sum(chunk.rows.num_rows for chunk in chunks):
        raise PrerequisiteError(
            [f"{spec.id}: {found} of these rows are still in the source, so the next sync would bring them back."],
            safe="Nothing was changed.",
            remedy="Delete them in the source first.",
        )
