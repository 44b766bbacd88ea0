"""The warehouse's file and the landing folder: can they be written, who holds them, is there room. Waits for nobody."""

from pathlib import Path

import duckdb

from pipelines.doctor.disk import check_folder, existing_part, free_bytes, readable
from pipelines.doctor.finding import Finding, State
from pipelines.errors import DaybreakError, WarehouseUnavailable
from pipelines.settings import Settings
from pipelines.warehouses import duckdb_file, is_snowflake
from pipelines.warehouses.duckdb_access import open_file

AREA, LANDING = "warehouse", "landing"
LEAST_BYTES = 256 * 2**20  # below this no file is safe to grow
# The landed files are a third of the table or less, but the last loads stay, and a new one lands beside them.
LANDING_TIMES = 2
EXAMINE = "examine it"


def check_warehouse(settings: Settings) -> list[Finding]:
    """Look at the warehouse. Raises ``ConfigError`` for a URL that is none."""
    if is_snowflake(settings.warehouse_url):
        from pipelines.doctor.snowflake_checks import check_snowflake

        return check_snowflake(settings)
    file = duckdb_file(settings.warehouse_url)
    findings = [check_folder(AREA, file.parent, "DAYBREAK_WAREHOUSE_URL")]
    if findings[0].state == "problem":
        return findings
    if not file.exists():
        return [*findings, Finding(AREA, "file", "note", f"{file} is not there yet; the first run makes it"), _room(settings, file)]
    return [*findings, _look_into(file, settings.lock_wait_seconds), _room(settings, file)]


def _look_into(file: Path, patience_seconds: float) -> Finding:
    try:
        with open_file(file, EXAMINE, 0, read_only=True) as connection:
            # What the file says of itself, and not one row.
            here = "database_name = current_database()"
            ((storage,),) = connection.execute(f"select tags['storage_version'] from duckdb_databases() where {here}").fetchall()
            ours = connection.execute(f"select 1 from duckdb_schemas() where {here} and schema_name = 'daybreak'").fetchall()
    except WarehouseUnavailable as error:
        return _held(error, file, patience_seconds)
    except DaybreakError as error:
        cause = error.__cause__ or error
        remedy = "Restore it from a backup; or move it away, and the next run reads everything anew."
        return Finding(AREA, "file", "problem", f"{file} cannot be opened: {cause}", remedy)
    told = f"{file}, {readable(file.stat().st_size)}, storage {storage or 'unknown'}, DuckDB {duckdb.__version__}"
    if not ours:
        remedy = "Nothing to do if that is meant: raw tables come beside what is there."
        return Finding(AREA, "file", "note", f"{told}; nothing was ever loaded into it by this project", remedy)
    return Finding(AREA, "file", "ok", told)


def _held(error: WarehouseUnavailable, file: Path, patience_seconds: float) -> Finding:
    if isinstance(error.__cause__, duckdb.Error):  # DuckDB's own lock: a program that does not queue
        return Finding(AREA, "lock", "problem", error.what, error.remedy)
    told = f"{file} is in use by {holder(error)} A run would wait for it, up to {patience_seconds:g} s; what is in it was not looked at"
    return Finding(AREA, "lock", "note", told)


def holder(error: WarehouseUnavailable) -> str:
    """Return who has the turn that ``hold_lock`` was refused."""
    return error.what.partition(" by ")[2]


def _room(settings: Settings, file: Path) -> Finding:
    size = file.stat().st_size if file.exists() else 0
    needed = max(LEAST_BYTES, size * (2 if settings.read_copy else 1))
    why = "a commit and the read copy" if settings.read_copy else "a commit"
    return _compare_room(AREA, file.parent, needed, f"{why} may need {readable(needed)}")


def check_landing(settings: Settings, largest_table_bytes: int) -> list[Finding]:
    """Look at the landing folder; the largest table is the sources' own estimate, 0 if none was had."""
    folder = settings.landing.folder
    findings = [check_folder(LANDING, folder, "DAYBREAK_LANDING_URL")]
    if findings[0].state == "problem":
        return findings
    needed = max(LEAST_BYTES, LANDING_TIMES * largest_table_bytes)
    largest = f" (the largest table is about {readable(largest_table_bytes)})" if largest_table_bytes else ""
    findings.append(_compare_room(LANDING, folder, needed, f"a load may need {readable(needed)}{largest}"))
    is_file = settings.warehouse_url.startswith("duckdb:")
    warehouse = duckdb_file(settings.warehouse_url).parent if is_file else None
    if warehouse and existing_part(folder).stat().st_dev == existing_part(warehouse).stat().st_dev:
        findings.append(Finding(LANDING, "filesystem", "note", "shared with the warehouse: both need their room on it"))
    return findings


def _compare_room(area: str, folder: Path, needed: int, why: str) -> Finding:
    free = free_bytes(folder)
    if free >= needed:
        return Finding(area, "disk", "ok", f"{readable(free)} free")
    state: State = "problem" if free < LEAST_BYTES / 4 else "warning"
    return Finding(area, "disk", state, f"{readable(free)} free, and {why}", f"Make room on the filesystem of {folder}.")
