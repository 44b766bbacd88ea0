"""A table's first rows as they would land: types, masks, and what the gates that judge rows would say of them.

Nothing is written anywhere: no landing, no state, no mask key. Not here: how it is shown (``cli.preview``).
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy
import pyarrow as pa

from pipelines.gates.classes import check_expectations, find_class, make_config_error, select_expectations
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.sync.gating import find_reasons
from pipelines.sync.land import as_text, mask, read_value
from pipelines.sync.model import Window
from pipelines.sync.protocols import UNFIT_COLUMN, ReadRequest, RowFinding, Source
from pipelines.sync.schema import check_names
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.warehouses import open_dialect
from pipelines.warehouses.dialect import Dialect


@dataclass(frozen=True)
class ColumnPreview:
    """A column: its type in the source, the warehouse's type it lands in (None if it does not), and its mask."""

    name: str
    source_type: str
    lands_as: str | None
    mask: str | None


@dataclass(frozen=True)
class GatePreview:
    """What one row expectation says of the previewed rows alone; ``mostly`` is for the whole load to meet."""

    check: str
    evaluated: int
    failed: int
    on_failure: str


@dataclass(frozen=True)
class Preview:
    """``rows`` are texts after masks, None for NULL, in the order of the columns that land.

    ``aside`` says why a row (by its position) would step aside. ``unjudged`` are the gates that need the whole load.
    """

    table: str
    columns: tuple[ColumnPreview, ...]
    rows: tuple[tuple[str | None, ...], ...]
    aside: Mapping[int, str]
    gates: tuple[GatePreview, ...]
    unjudged: tuple[str, ...]
    has_random_key: bool  # hashes are of a key made for this preview; a load's are others

    @property
    def landed(self) -> tuple[str, ...]:
        """The names of the columns that land."""
        return tuple(column.name for column in self.columns if column.lands_as)


def preview_table(settings: Settings, source: SourceSpec, table: TableSpec, rows: int = 100) -> Preview:
    """Read the first ``rows`` rows by key, or the first that come, and judge them.

    Raises ``ConfigError`` for expectations that cannot be evaluated, ``PrerequisiteError`` for what the source does not have.
    """
    with open_source(source.name, settings.source_url(source), settings.max_snapshot_seconds) as database:
        schema = database.describe(table)
        check_names(table, schema)
        if problems := check_expectations(table, {column.name: column.arrow_type for column in schema.columns}):
            raise make_config_error(table, problems)
        read = _read(database, ReadRequest(table, schema, Window(), "window", None, rows, settings.chunk_bytes)).slice(0, rows)
    key = _find_mask_key(settings)
    any_key = key or secrets.token_bytes(32)
    landed = mask(table, read, lambda: any_key)
    findings = _judge_rows(table, landed)
    return Preview(
        table=table.id,
        columns=tuple(_columns(open_dialect(settings.warehouse_url), table, schema)),
        rows=tuple(_texts(landed)),
        aside={position: reason for position, (_, reason) in sorted(find_reasons(table, landed, findings).items())},
        gates=tuple(GatePreview(f.expectation.label, f.evaluated, f.failed, f.expectation.on_failure) for f in findings),
        unjudged=tuple(expectation.label for expectation in table.expectations if find_class(expectation) != "row"),
        has_random_key=key is None and "hmac" in table.masks.values(),
    )


def _read(database: Source, request: ReadRequest) -> pa.Table:
    """Read one chunk by key, or the beginning of a stream, whose rest is not waited for."""
    if request.schema.has_unique_key:
        return database.read_chunk(request).rows
    return next(database.read_stream(replace(request, part="stream"))).rows


def _find_mask_key(settings: Settings) -> bytes | None:
    """Return the project's mask key if there is one; none is made here."""
    has_one = settings.environment.get("DAYBREAK_MASK_KEY") or (settings.home / "mask.key").exists()
    return settings.mask_key() if has_one else None


def _columns(to: Dialect, table: TableSpec, schema: TableSchema) -> Iterator[ColumnPreview]:
    for column in schema.columns:
        kind = table.masks.get(column.name)
        lands_as = None if kind == "drop" else to.type_of(pa.string() if kind == "hmac" else column.arrow_type)
        yield ColumnPreview(column.name, column.source_type, lands_as, kind)


def _judge_rows(table: TableSpec, landed: pa.Table) -> Sequence[RowFinding]:
    if not select_expectations(table, "row") or not landed.num_rows:
        return ()  # and Great Expectations need not be imported
    from pipelines.gates.great_expectations import GreatExpectationsGate

    return GreatExpectationsGate().check_rows(table, landed)


def _texts(landed: pa.Table) -> Iterator[tuple[str | None, ...]]:
    names = [name for name in landed.column_names if name != UNFIT_COLUMN]
    for position in range(landed.num_rows):
        yield tuple(_text(landed.column(name)[position]) for name in names)


def _text(value: pa.Scalar) -> str | None:
    if pa.types.is_float32(value.type) and value.is_valid:
        return str(numpy.float32(value.as_py()))  # as a float of Python's it would show digits that nobody wrote
    return as_text(read_value(value))
