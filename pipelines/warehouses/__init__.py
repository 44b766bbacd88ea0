"""Where rows become visible. ``open_warehouse`` picks the implementation by the URL's scheme."""

from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.sync.protocols import Warehouse
from pipelines.warehouses.dialect import Dialect


def duckdb_file(url: str) -> Path:
    """Return the file of a ``duckdb:///`` URL. Raises ``ConfigError`` for any other warehouse."""
    if not url.startswith("duckdb:///"):
        raise ConfigError(
            [f"DAYBREAK_WAREHOUSE_URL: {url.partition('://')[0]!r} is not a warehouse that is supported so far."],
            safe="Nothing was read or written.",
            remedy="Use duckdb:///path/to/warehouse.duckdb",
        )
    path = url.removeprefix("duckdb:///")
    return Path(path if path.startswith("/") else f"/{path}") if url.startswith("duckdb:////") else Path(path).absolute()


def open_warehouse(url: str, lock_wait_seconds: float) -> Warehouse:
    """Return the warehouse behind ``url``; nothing is opened before the first question."""
    file = duckdb_file(url)
    from pipelines.warehouses.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(file, lock_wait_seconds)


def open_dialect(url: str) -> Dialect:
    """Return the SQL that the warehouse behind ``url`` speaks; dbt calls its kinds as the URL's schemes."""
    from pipelines.warehouses.duckdb_dialect import DuckDBDialect

    return DuckDBDialect()
