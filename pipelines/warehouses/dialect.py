"""What two warehouses spell differently. Every statement of a load is written once, over these few words; see decision 0010."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

import pyarrow as pa

from pipelines.sync.model import StagedLoad
from pipelines.sync.schema import DELETED_AT
from pipelines.sync.shape import Column
from pipelines.sync.spec import TableSpec

# A parameter in a statement, which is none within a name or a text in quotes.
_NAMED = re.compile(r"""\$([a-z_][a-z_0-9]*)|"(?:[^"]|"")*"|'(?:[^']|'')*'""")
OF_TABLE = "source_name = $source and table_name = $table"  # the condition that `names_of` has the values for
INSTANT = pa.timestamp("us", tz="UTC")


def is_instant(arrow_type: pa.DataType) -> bool:
    """Whether values of a type are instants, which are in a day only where the time zone is said."""
    return pa.types.is_timestamp(arrow_type) and arrow_type.tz is not None


class Named(Protocol):
    """A table by its names: a ``TableSpec``, or a ``TableName``."""

    @property
    def source(self) -> str: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102


class TableName(NamedTuple):
    """What is known of a table that is told by the warehouse alone."""

    source: str
    name: str


def names_of(table: Named) -> dict[str, str]:
    """Return the values of ``OF_TABLE``."""
    return {"source": table.source, "table": table.name}


def read_parameters(statement: str, given: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the statement with ``?`` in the place of the parameters that are given, and their names in that order."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        if found[1] is None or found[1] not in given:
            return found[0]
        names.append(found[1])
        return "?"

    return _NAMED.sub(place, statement), names


def as_rows(rows: Sequence[Sequence[Any]]) -> str:
    """Return rows as one value for ``Dialect.rows``: a JSON array of arrays."""
    return json.dumps(rows, default=str, ensure_ascii=False)


class Dialect(ABC):
    """The SQL of one warehouse. Pure text, no connection.

    Parameters of a statement are named ``$name``; a list is one parameter, of which ``members`` makes rows.
    """

    create: ClassVar[str] = "create table"  # how a raw table is made
    json: ClassVar[str] = "varchar"  # the type of JSON that is kept as it is written
    new_id: ClassVar[str]  # makes an id that nothing else has
    types: ClassVar[dict[pa.DataType, str]]

    @abstractmethod
    def quote(self, name: str) -> str:
        """Return ``name`` as an identifier."""

    @abstractmethod
    def members(self, parameter: str, type_: str = "varchar") -> str:
        """Return the SELECT of the values of a list, ``$parameter``."""

    @abstractmethod
    def rows(self, parameter: str, columns: Mapping[str, str]) -> str:
        """Return the SELECT of the values of ``$parameter``, see ``as_rows``, under the names and types of ``columns``."""

    @abstractmethod
    def json_item(self, array: str, number: int) -> str:
        """Return the text at a position (from 0) of a JSON array."""

    @abstractmethod
    def day_of(self, column: str, time_zone: str | None) -> str:
        """Return the day of ``column``: in ``time_zone``, if it is an instant."""

    @abstractmethod
    def as_text(self, column: str, arrow_type: pa.DataType) -> str:
        """Return a value's text as the quarantine has it; see ``sync.land.as_text``."""

    @abstractmethod
    def canonical(self, column: Column) -> str:
        """Return a value's canonical text, NULL for NULL; see ``sources.postgres_parity``."""

    @abstractmethod
    def hex_number(self, digits: str) -> str:
        """Return the number that hex digits (at most 15) are."""

    @abstractmethod
    def shifted(self, number: str, bits: int) -> str:
        """Return the text of an integer without its last bits: of the greatest whole number that is not above the quotient."""

    @abstractmethod
    def texts(self, values: Sequence[str]) -> str:
        """Return an array of texts, which ``read_texts`` reads."""

    @abstractmethod
    def read_texts(self, value: Any) -> tuple[str | None, ...]:  # noqa: ANN401 - as the driver has it
        """Return the texts of an array that was fetched."""

    @abstractmethod
    def widen(self, table: str, before: Column, after: Column) -> list[str]:
        """Return the DDL that gives a column a type which holds every old value."""

    @abstractmethod
    def comments(self, table: str, comment: str | None, columns: Sequence[Column]) -> list[str]:
        """Return the DDL that gives a table and its columns their comments."""

    def type_of(self, arrow_type: pa.DataType) -> str:
        """Return the column type that holds every value of ``arrow_type``."""
        if pa.types.is_decimal(arrow_type):
            return f"decimal({arrow_type.precision}, {arrow_type.scale})"
        return self.types[arrow_type]

    def comment(self, text: str | None) -> str:
        """Return a comment as a literal, because DDL takes no parameters."""
        return "null" if text is None else "'" + text.replace("'", "''") + "'"

    def schema_name(self, spec: Named) -> str:
        """Return the schema of a source's raw tables."""
        return self.quote(f"raw_{spec.source}")

    def raw_table(self, spec: Named) -> str:
        """Return the name of a raw table."""
        return f"{self.schema_name(spec)}.{self.quote(spec.name)}"

    def engine_columns(self, spec: TableSpec) -> list[str]:
        """Return the definitions of the columns that are the engine's own."""
        own = [f"{self.quote('_load_id')} varchar", f"{self.quote('_loaded_at')} {self.types[INSTANT]}"]
        return [*own, self.mark_column] if spec.marks_deleted else own

    @property
    def mark_column(self) -> str:
        """The definition of the column of marks."""
        return f"{self.quote(DELETED_AT)} {self.types[INSTANT]}"


class Later(Protocol):
    """Takes a statement that is run later, in the load's transaction."""

    def __call__(self, statement: str, **parameters: Any) -> object:  # noqa: ANN401 - SQL values
        """Take one statement."""


class Run(ABC):
    """Runs a statement with those of the named values that it mentions.

    Returns its rows; of a statement that changes rows, one row whose first value says how many.
    """

    dialect: Dialect

    @property
    @abstractmethod
    def is_unseen(self) -> bool:
        """Whether nobody sees what is done to a raw table before the load commits, its DDL neither."""

    @property
    @abstractmethod
    def statements(self) -> int:
        """How many were run."""

    @abstractmethod
    def __call__(self, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        """Run one statement."""

    @abstractmethod
    def merge(self, statement: str, **parameters: Any) -> tuple[int, int]:  # noqa: ANN401 - SQL values
        """Run a MERGE, and return how many rows it inserted and updated."""

    @abstractmethod
    def columns(self, spec: TableSpec, kept_as: str | None = None) -> dict[str, str]:
        """Return the columns of a raw table, or of what it was once, and their types as the warehouse names them."""

    @abstractmethod
    def type_name(self, type_: str) -> str:
        """Return what ``columns`` calls a type."""

    @abstractmethod
    def make_schema(self, spec: TableSpec) -> None:
        """Create the schema of a raw table, unless it is there."""

    @abstractmethod
    def clear_name(self, spec: TableSpec, version: int) -> None:
        """Have the raw table's name for another one: what stands under it stays under ``load_ddl.kept_name``, by the end of the load."""

    @abstractmethod
    def stage_landed(self, load: StagedLoad) -> None:
        """Make ``landed`` and ``excluded`` of a load's files, in the place of those of an earlier load; see ``load_sql``."""

    @abstractmethod
    def stage_accepted(self, query: str, *, is_read_once: bool) -> None:
        """Make ``staged`` of a query."""

    @abstractmethod
    def make_rows(self, table: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> None:
        """Make a temporary table of a few values."""

    @abstractmethod
    def tables(self, spec: Named) -> list[str]:
        """Return the names of the tables in a raw table's schema."""
