"""The shape of a catalog file, as pydantic models whose descriptions are the documentation. Unknown keys are errors.

Not here: rules between settings (``consistency``), what the words do (the engine).
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt, WithJsonSchema
from pydantic_core import PydanticCustomError

from pipelines.sync.spec import Contract, DeletedRows, Deletes, Expectation, Mask, Mode, OnFailure, PartitionSpec, SourceSpec, TableSpec

SOURCE_NAME = r"^[a-z][a-z0-9_]{0,62}$"
VARIABLE_NAME = r"^[A-Z][A-Z0-9_]*$"
OWNER = r"^$|^team:\w+$|^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$"  # what Dagster takes for an owner

Name = Annotated[str, Field(min_length=1)]


def _check_day(value: object) -> object:
    if isinstance(value, int | float):  # pydantic would take it for seconds since 1970
        raise PydanticCustomError("not_a_day", "")
    return value


def _check_limit(value: object) -> object:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if not is_count and not (isinstance(value, float) and 0 <= value <= 1):
        raise PydanticCustomError("not_a_limit", "")
    return value


Day = Annotated[date, BeforeValidator(_check_day)]
Limit = Annotated[
    int | float,
    BeforeValidator(_check_limit),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 0}, {"type": "number", "minimum": 0, "maximum": 1}], "default": 0.05}),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnEntry(_Strict):
    """What is special about one column."""

    mask: Mask | None = Field(
        default=None, description="`hmac`: a keyed hash lands instead of the value; `drop`: the column is not read at all"
    )


class PartitionEntry(_Strict):
    """How a partitioned table is cut into days."""

    column: Name = Field(description="a date or a timestamp that does not change: the day that a row belongs to")
    by: Literal["day"] = Field(default="day", description="so far always `day`, cut at the midnights of DAYBREAK_TIME_ZONE")
    start: Day = Field(description="the first day; rows before it are left out by declaration")
    lookback_days: StrictInt = Field(default=2, ge=0, le=366, description="days before the last one that are read again for late rows")


class ExpectationEntry(BaseModel):
    """One expectation: its name with its arguments, and what a failure means."""

    model_config = ConfigDict(extra="allow", frozen=True)  # the name is a key; see `consistency`

    on_failure: OnFailure = Field(
        description="`quarantine`: the failing rows step aside; `hold`: nothing of the load becomes visible; `warn`: it is noted"
    )
    mostly: float = Field(default=1.0, gt=0, le=1, strict=True, description="the share of the rows that must pass, of those it judges")

    def to_spec(self) -> Expectation:
        """Return the engine's word for it."""
        ((name, arguments),) = (self.model_extra or {}).items()
        return Expectation(name, dict[str, Any](arguments), self.on_failure, self.mostly)


class TableEntry(_Strict):
    """One table of a source."""

    name: Name = Field(description="the table's name, exactly as the source has it; the warehouse and dbt know it by this name")
    relation: Name | None = Field(default=None, description="what the source calls the table since it was renamed there; else its `name`")
    mode: Mode = Field(description="how it is read and written: see the table of modes")
    key: tuple[Name, ...] = Field(default=(), description="the columns that tell rows apart: unique and never NULL")
    cursor: Name | None = Field(default=None, description="the column that grows whenever a row changes; mode incremental only")
    partition: PartitionEntry | None = Field(default=None, description="how the table is cut into days; mode partitioned only")
    deletes: Deletes = Field(
        default="ignore",
        description="how an incremental table treats rows that vanish from the source: they stay (and are counted), or "
        "`daybreak reconcile --heal` deletes them; the other modes follow deletes as they read",
    )
    deleted_rows: DeletedRows = Field(
        default="remove",
        description="with `deletes: reconcile`, what becomes of a row that is gone from the source: it is deleted (`remove`), or it stays, "
        "with the time that this was noticed in `_deleted_at` (`mark`)",
    )
    max_deletes: Limit = Field(
        default=0.05,
        description="how many rows `daybreak reconcile --heal` deletes, or marks, by itself: rows (a whole number), or a share (`0.05`, "
        "with a point) of those compared, of which ten are always tolerated; beyond it nothing is deleted until a person says so",
    )
    contract: Contract | None = Field(default=None, description="what a change of the table's schema may do; else the source's")
    owner: str | None = Field(default=None, pattern=OWNER, description="who answers for the table; else the source's owner")
    columns: dict[Name, ColumnEntry] = Field(default_factory=dict, description="columns with something special, by name")
    expectations: tuple[ExpectationEntry, ...] = Field(default=(), description="the table's gates, judged before a load becomes visible")
    max_quarantined: Limit = Field(
        default=0.05,
        description="how much of a load may step aside before the load is held: rows (a whole number), or a share (`0.05`, with a point), "
        "of which ten rows are always tolerated (without a key: half of the load, if that is less)",
    )


class SourceEntry(_Strict):
    """One source database."""

    source: str = Field(pattern=SOURCE_NAME, description="its name; tables land in the schema `raw_<source>`")
    url_env: str = Field(pattern=VARIABLE_NAME, description="the environment variable that holds its URL, read when a run needs it")
    schema_: Name = Field(alias="schema", default="public", description="the schema whose tables are synced")
    owner: str = Field(default="", pattern=OWNER, description="who answers for the data: an e-mail address or `team:name`")
    contract: Contract = Field(
        default="evolve",
        description="`evolve`: lossless changes of the source are followed; `approve`, `freeze`: a change holds the table",
    )
    max_connections: StrictInt = Field(default=2, ge=1, le=32, description="connections, and so tables, that one run uses at once")
    tables: tuple[TableEntry, ...] = Field(min_length=1, description="the tables that are synced, each one entry")

    def to_spec(self) -> SourceSpec:
        """Return the engine's word for it."""
        return SourceSpec(
            name=self.source,
            url_env=self.url_env,
            tables=tuple(self._table(entry) for entry in self.tables),
            owner=self.owner,
            max_connections=self.max_connections,
        )

    def _table(self, entry: TableEntry) -> TableSpec:
        partition = entry.partition and PartitionSpec(entry.partition.column, entry.partition.start, entry.partition.lookback_days)
        return TableSpec(
            source=self.source,
            schema=self.schema_,
            name=entry.name,
            mode=entry.mode,
            key=entry.key,
            cursor=entry.cursor,
            partition=partition or None,
            masks={name: column.mask for name, column in entry.columns.items() if column.mask},
            expectations=tuple(expectation.to_spec() for expectation in entry.expectations),
            contract=entry.contract or self.contract,
            owner=entry.owner or self.owner,
            max_quarantined=entry.max_quarantined,
            deletes=entry.deletes,
            deleted_rows=entry.deleted_rows,
            max_deletes=entry.max_deletes,
            relation=entry.relation or "",
        )
