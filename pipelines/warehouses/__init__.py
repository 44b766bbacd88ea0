"""Where rows become visible. ``open_warehouse`` picks the implementation by the URL's scheme."""

from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.sync.protocols import Warehouse
from pipelines.warehouses.dialect import Dialect


def duckdb_file(url: str) -> Path:
    """Return the file of a ``duckdb:///`` URL. Raises ``ConfigError`` for any other warehouse."""
    if not url.startswith("duckdb:///"):
        raise ConfigError(
            [f"DAYBREAK_WAREHOUSE_URL: {url.partition('://')[0]!r} is no warehouse that Daybreak knows."],
            safe="Nothing was read or written.",
            remedy="Use duckdb:///path/to/warehouse.duckdb, or snowflake://USER@ACCOUNT/DATABASE?warehouse=NAME",
        )
    path = url.removeprefix("duckdb:///")
    return Path(path if path.startswith("/") else f"/{path}") if url.startswith("duckdb:////") else Path(path).absolute()


def open_warehouse(url: str, lock_wait_seconds: float) -> Warehouse:
    """Return the warehouse behind ``url``; nothing is opened before the first question."""
    if is_snowflake(url):
        from pipelines.warehouses.snowflake import SnowflakeWarehouse

        return SnowflakeWarehouse(url)
    file = duckdb_file(url)
    from pipelines.warehouses.duckdb import DuckDBWarehouse

    return DuckDBWarehouse(file, lock_wait_seconds)


def is_made(url: str) -> bool:
    """Whether there may be a warehouse behind ``url``: a file that is not there yet has nothing to tell. Asks nobody."""
    return is_snowflake(url) or duckdb_file(url).exists()


def open_dialect(url: str) -> Dialect:
    """Return the SQL that the warehouse behind ``url`` speaks; the name of a dbt adapter will do."""
    if is_snowflake(url):
        from pipelines.warehouses.snowflake_dialect import SnowflakeDialect

        return SnowflakeDialect()
    from pipelines.warehouses.duckdb_dialect import DuckDBDialect

    return DuckDBDialect()


def is_snowflake(url: str) -> bool:
    """Whether a URL, or a dbt adapter's name, is Snowflake's."""
    return url.partition("://")[0] == "snowflake"


def warehouse_problems(url: str) -> tuple[str, ...]:
    """Return what is wrong with the URL of a warehouse, before anybody is asked."""
    try:
        if is_snowflake(url):
            from pipelines.warehouses.snowflake_account import read_url

            read_url(url)
        else:
            duckdb_file(url)
    except ConfigError as error:
        return error.problems
    return ()
