"""The shape of a catalog file, as pydantic models. Unknown keys are errors. What the words mean is in the engine's model."""

from datetime import date
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipelines.sync.spec import Contract, Expectation, Mask, Mode, OnFailure, PartitionSpec, SourceSpec, TableSpec

NAME = r"^[a-z][a-z0-9_]{0,62}$"
OWNER = r"^$|^team:\w+$|^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$"  # what Dagster takes for an owner


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnEntry(_Strict):
    """What is special about one column."""

    mask: Mask | None = Field(default=None, description="drop the column, or keep a keyed hash of it")


class PartitionEntry(_Strict):
    """How a partitioned table is cut into days."""

    column: str
    by: Literal["day"] = "day"
    start: date = Field(description="rows before this day are left out by declaration")
    lookback_days: int = Field(default=2, ge=0, le=366, description="days that are read again for late rows")


class ExpectationEntry(BaseModel):
    """One expectation: its name with its arguments, and what a failure means."""

    model_config = ConfigDict(extra="allow", frozen=True)

    on_failure: OnFailure
    mostly: float = Field(default=1.0, gt=0, le=1)

    @model_validator(mode="after")
    def _has_one_name(self) -> Self:
        extra = self.model_extra or {}
        if len(extra) != 1 or not all(isinstance(arguments, dict) for arguments in extra.values()):
            raise ValueError("an expectation is one `expect_…: {arguments}` beside `on_failure`")
        return self

    def to_spec(self) -> Expectation:
        """Return the engine's word for it."""
        ((name, arguments),) = (self.model_extra or {}).items()
        return Expectation(name, dict[str, Any](arguments), self.on_failure, self.mostly)


class TableEntry(_Strict):
    """One table of a source."""

    name: str
    mode: Mode
    key: tuple[str, ...] = ()
    cursor: str | None = None
    partition: PartitionEntry | None = None
    deletes: Literal["ignore"] = "ignore"
    contract: Contract | None = None
    owner: str | None = Field(default=None, pattern=OWNER)
    columns: dict[str, ColumnEntry] = Field(default_factory=dict)
    expectations: tuple[ExpectationEntry, ...] = ()
    max_quarantined: float = Field(default=0.05, ge=0, le=1, description="share of a load's rows; above it the load is held")

    @model_validator(mode="after")
    def _fits_its_mode(self) -> Self:
        if self.mode == "incremental" and not (self.key and self.cursor):
            raise ValueError("mode incremental needs `key` and `cursor`")
        if self.mode != "incremental" and self.cursor:
            raise ValueError("`cursor` goes with mode incremental")
        if (self.mode == "partitioned") != (self.partition is not None):
            raise ValueError("`partition` goes with mode partitioned, and only with it")
        masked = {name for name, column in self.columns.items() if column.mask}
        used = [*self.key, *([self.cursor] if self.cursor else []), *([self.partition.column] if self.partition else [])]
        if wrong := [name for name in used if name in masked]:
            raise ValueError(f"{', '.join(wrong)}: key, cursor and partition columns cannot be masked")
        return self


class SourceEntry(_Strict):
    """One source database."""

    source: str = Field(pattern=NAME)
    url_env: str = Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="the environment variable that holds the URL")
    schema_: str = Field(alias="schema", default="public")
    owner: str = Field(default="", pattern=OWNER)
    contract: Contract = "evolve"
    max_connections: int = Field(default=2, ge=1, le=32)
    tables: tuple[TableEntry, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_tables_once(self) -> Self:
        names = [table.name for table in self.tables]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"named twice: {', '.join(twice)}")
        return self

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
        )
