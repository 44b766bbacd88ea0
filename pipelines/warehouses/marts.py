"""What is asked of built models, on any warehouse: which are there, how many rows they have, and what a dashboard shows of them."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from pipelines.settings import Settings
from pipelines.warehouses import duckdb_file, is_snowflake

if TYPE_CHECKING:
    import pyarrow as pa

Relation = tuple[str, str]  # schema, name, in small letters
Ask = Callable[[str], "pa.Table"]


class Marts(Protocol):
    """The built models of a warehouse. Raises ``WarehouseUnavailable`` when it does not answer."""

    def turn(self, purpose: str) -> AbstractContextManager[int | None]:
        """Wait for one's turn, where only one process may write. Yields the descriptor that the turn stands on, if there is one."""

    def list_relations(self, schemas: Iterable[str]) -> frozenset[Relation]:
        """Return every table and view of some schemas. MUST not wake a machine that is paid for."""

    def count_rows(self, relations: Iterable[Relation]) -> dict[Relation, int]:
        """Return the number of rows of each table; views are not counted."""

    def open(self, purpose: str) -> AbstractContextManager[Ask]:
        """Yield what answers a query with a table, whose columns are named in small letters."""


def open_marts(settings: Settings) -> Marts:
    """Return the built models of the project's warehouse; nothing is opened before the first question."""
    if is_snowflake(settings.warehouse_url):
        from pipelines.warehouses.snowflake_marts import SnowflakeMarts

        return SnowflakeMarts(settings.warehouse_url)
    from pipelines.warehouses.duckdb_marts import DuckDBMarts

    return DuckDBMarts(duckdb_file(settings.warehouse_url), settings.lock_wait_seconds)
