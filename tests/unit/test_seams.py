"""The engine stays free of drivers, and no driver's error gets past its seam."""

import subprocess
import sys
from pathlib import Path

import adbc_driver_manager as adbc
import duckdb
import pyarrow as pa
import pytest

from pipelines.errors import DaybreakError, LandingCorrupt, LoadConflict, PrerequisiteError, SourceUnavailable, WarehouseUnavailable
from pipelines.landing import scan
from pipelines.sources.postgres_connection import translate as translate_source
from pipelines.sync.protocols import SchemaMoved
from pipelines.warehouses.duckdb_errors import translate as translate_warehouse

URL = "postgresql://me:s3cret%21@host/db"


def classes(module: object, root: type) -> list[type]:
    found = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, root)]
    assert len(found) > 5
    return found


def driver_error(kind: type[adbc.Error]) -> adbc.Error:
    status = {} if kind is adbc.NotSupportedError else {"status_code": adbc.AdbcStatusCode.IO}
    return kind("what happened", **status)


def test_the_engine_imports_no_orchestrator_no_driver_and_no_great_expectations() -> None:
    code = (
        "import sys, pkgutil, importlib, pipelines.sync as engine\n"
        "for module in pkgutil.iter_modules(engine.__path__): importlib.import_module(f'pipelines.sync.{module.name}')\n"
        "print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2]
        ).stdout.split()
    )
    assert "pyarrow" in loaded
    assert not loaded & {
        "dagster",
        "duckdb",
        "adbc_driver_manager",
        "adbc_driver_postgresql",
        "psycopg",
        "psycopg2",
        "great_expectations",
        "boto3",
    }


@pytest.mark.parametrize("kind", classes(duckdb, duckdb.Error), ids=lambda kind: kind.__name__)
def test_every_error_of_duckdb_becomes_ours(kind: type[duckdb.Error]) -> None:
    with pytest.raises(DaybreakError) as raised:
        translate_warehouse(Path("warehouse.duckdb"), kind("what happened"))
    assert "what happened" in str(raised.value)


def test_errors_of_duckdb_that_call_for_different_actions_have_different_classes(tmp_path: Path) -> None:
    cases = {
        duckdb.IOException("Could not set lock on file"): WarehouseUnavailable,
        duckdb.IOException("No space left on device"): PrerequisiteError,
        duckdb.TransactionException("conflict"): LoadConflict,
    }
    for error, expected in cases.items():
        with pytest.raises(expected):
            translate_warehouse(tmp_path / "w.duckdb", error)


@pytest.mark.parametrize(
    "error",
    [driver_error(kind) for kind in classes(adbc, adbc.Error)] + [OSError("what happened"), pa.ArrowInvalid("what happened")],
    ids=lambda error: type(error).__name__,
)
def test_every_error_of_the_source_driver_becomes_ours(error: Exception) -> None:
    with pytest.raises(SourceUnavailable, match="what happened"):
        translate_source("shop", URL, error)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("42P01", SchemaMoved),
        ("42703", SchemaMoved),
        ("28P01", PrerequisiteError),
        ("42501", PrerequisiteError),
        ("57P01", SourceUnavailable),
    ],
)
def test_the_state_of_an_error_of_postgresql_decides_its_class(state: str, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        translate_source("shop", URL, adbc.OperationalError("x", status_code=adbc.AdbcStatusCode.IO, sqlstate=state))


@pytest.mark.parametrize("text", [URL, "s3cret%21", "s3cret!"])
def test_no_message_has_the_password_in_any_spelling(text: str) -> None:
    with pytest.raises(SourceUnavailable) as raised:
        translate_source("shop", URL, adbc.OperationalError(f"bad URI {text}", status_code=adbc.AdbcStatusCode.IO))
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_values_of_the_query_are_not_in_the_message() -> None:
    with pytest.raises(SourceUnavailable) as raised:
        translate_source(
            "shop", URL, adbc.OperationalError("broken. Query was:select 'ann@example.com'", status_code=adbc.AdbcStatusCode.IO)
        )
    assert "ann@" not in str(raised.value)


def test_a_landed_file_that_cannot_be_read_is_corrupt(tmp_path: Path) -> None:
    (tmp_path / "chunk-000000.parquet").write_bytes(b"no parquet")
    with pytest.raises(LandingCorrupt, match="cannot be read"):
        scan.digest_all([tmp_path / "chunk-000000.parquet"], ["a"])
