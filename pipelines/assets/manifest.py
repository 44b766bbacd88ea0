"""dbt's manifest as data: loaded when the project loads, made again by `dbt parse` only when a dbt file is newer.

dbt itself is never imported: it runs as a process of its own, because its CLI costs 3.8 CPU seconds to import.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipelines.errors import PrerequisiteError
from pipelines.settings import Settings
from pipelines.state.lock import hold_lock
from pipelines.warehouses import duckdb_file, is_snowflake

PARSE_WAIT_SECONDS = 120
_IGNORED = {"target", "logs", "dbt_packages", ".user.yml"}


def dbt_executable() -> str:
    """Return the dbt of this environment, whatever PATH says."""
    return str(Path(sys.executable).with_name("dbt"))


def target_folder(settings: Settings) -> Path:
    """Return where dbt writes: one folder, so that it does not grow by one a run, and parses only what changed."""
    return settings.home / "dbt"


def dbt_environment(settings: Settings) -> dict[str, str]:
    """Return the variables that the project's profiles and macros read."""
    return {
        **_warehouse_variables(settings.warehouse_url),
        "DAYBREAK_TIME_ZONE": settings.time_zone,
        "DBT_PROFILES_DIR": str(settings.dbt_folder),
        "DBT_LOG_PATH": str(target_folder(settings) / "logs"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def _warehouse_variables(url: str) -> dict[str, str]:
    if is_snowflake(url):
        from pipelines.warehouses.snowflake_profile import profile_variables

        return profile_variables(url)
    return {"DAYBREAK_DBT_TARGET": "duckdb", "DAYBREAK_DUCKDB_PATH": str(duckdb_file(url))}


def load_manifest(settings: Settings) -> Mapping[str, Any]:
    """Return the manifest of the project as it is on disk. Raises ``PrerequisiteError`` with dbt's words if it does not parse."""
    file = target_folder(settings) / "manifest.json"
    with hold_lock(target_folder(settings) / "parse.lock", "parse the dbt project", PARSE_WAIT_SECONDS):
        if not file.exists() or file.stat().st_mtime < max(path.stat().st_mtime for path in project_files(settings.dbt_folder)):
            _parse(settings)
    return _read(file, file.stat().st_mtime_ns)


def project_files(folder: Path) -> Iterator[Path]:
    """Yield the files that decide what the manifest says, and their folders: a file that was removed is known by its folder's time."""
    for path in folder.iterdir():
        if path.name in _IGNORED or path.name.startswith("."):
            continue
        yield path
        yield from path.rglob("*")


@lru_cache(maxsize=2)
def _read(file: Path, _changed_at: int) -> Mapping[str, Any]:
    manifest: Mapping[str, Any] = json.loads(file.read_bytes())
    return manifest


def _parse(settings: Settings) -> None:
    command = [
        dbt_executable(),
        "--quiet",
        "parse",
        "--project-dir",
        str(settings.dbt_folder),
        "--target-path",
        str(target_folder(settings)),
    ]
    done = subprocess.run(command, env={**os.environ, **dbt_environment(settings)}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PrerequisiteError(
            [f"The dbt project {settings.dbt_folder} does not parse:\n{(done.stdout + done.stderr).strip()}"],
            safe="Nothing was built; the last build stands.",
            remedy="Mend the file that dbt names.",
        )
    os.utime(target_folder(settings) / "manifest.json")
