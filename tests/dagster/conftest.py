"""A shop on the session's PostgreSQL, and a Daybreak on a temporary home that runs its mornings through Dagster.

A module's tests share a project and run in order: `pytest -n 2 --dist loadfile` (pytest 9.2 does not heed `loadgroup`).
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import dagster as dg
import duckdb
import psycopg
import pytest

from pipelines.settings import Settings, load_settings

ROOT = Path(__file__).parents[2]
TODAY = date(2026, 3, 10)
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
Rows = list[tuple[Any, ...]]


@dataclass
class Morning:
    """How a run ended: Dagster's result, and the report that the run wrote."""

    result: dg.ExecuteInProcessResult
    report: dict[str, Any]

    @property
    def is_green(self) -> bool:
        return self.result.success

    def explain(self) -> str:
        """Why it is not green, for the message of an assertion."""
        failures = [event.event_specific_data for event in self.result.get_step_failure_events()]
        return str(self.report.get("problems")) + "".join(str(getattr(failure, "error", failure)) for failure in failures)

    def deliveries(self) -> dict[str, str]:
        return {item["delivery"]: item["status"] for item in self.report["deliveries"]}

    def outcomes(self) -> dict[str, str]:
        return {table["table"]: table["outcome"] for table in self.report["tables"]}

    def table(self, name: str) -> dict[str, Any]:
        return next(table for table in self.report["tables"] if table["table"] == name)

    def models(self) -> dict[str, str]:
        return {model["model"]: model["status"] for model in self.report["models"]}

    def yielded(self) -> set[str]:
        return {event.asset_key.to_user_string() for event in self.result.get_asset_materialization_events() if event.asset_key}

    def checks(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        return {(check.asset_key.to_user_string(), check.check_name): check for check in self.result.get_asset_check_evaluations()}

    def metadata(self, asset: str) -> dict[str, Any]:
        events = self.result.get_asset_materialization_events()
        found = [event for event in events if event.asset_key and event.asset_key.to_user_string() == asset]
        return {name: value.value for name, value in found[-1].materialization.metadata.items()}

    def versions(self) -> dict[str, str]:
        tag = "dagster/data_version"
        events = self.result.get_asset_materialization_events()
        return {event.asset_key.to_user_string(): (event.materialization.tags or {}).get(tag, "") for event in events if event.asset_key}


@dataclass
class Daybreak:
    """A project on a temporary home. ``environment`` is what the settings are made from."""

    home: Path
    instance: dg.DagsterInstance
    environment: dict[str, str] = field(default_factory=dict)
    today: date = TODAY
    first: "Morning | None" = None

    @property
    def url(self) -> str:
        return self.environment["SHOP_DATABASE_URL"]

    def variables(self) -> dict[str, str]:
        given = {name: value for name, value in os.environ.items() if not name.startswith(("DAYBREAK_", "DAGSTER_", "SHOP_"))}
        ours = {"DAYBREAK_HOME": str(self.home), "DAYBREAK_TODAY": str(self.today), "DAYBREAK_LOCK_WAIT_SECONDS": "30"}
        return {**given, **ours, **self.environment}

    @property
    def settings(self) -> Settings:
        return load_settings(self.variables())

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Make the environment of this process the project's: its steps read it when they run."""
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith(("DAYBREAK_", "SHOP_")):
                    patch.delenv(name)
            for name, value in self.variables().items():
                patch.setenv(name, value)
            yield

    def definitions(self) -> dg.Definitions:
        from pipelines.definitions import build_defs

        return build_defs(settings=self.settings)

    def run(self, job: str = "morning_refresh", **arguments: Any) -> Morning:
        """Run a job in this process, to its end."""
        with self.inside():
            defined = self.definitions().resolve_job_def(job)
            result = defined.execute_in_process(instance=self.instance, raise_on_error=False, run_config=QUIET, **arguments)
        file = self.home / "reports" / "morning.json"
        report = json.loads(file.read_text()) if file.exists() else {}
        return Morning(result, report if report.get("run_id") == result.run_id else {})

    def daybreak(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command line in a process of its own."""
        environment = {**self.variables(), **variables}
        return subprocess.run(self.command(*arguments), env=environment, capture_output=True, text=True, check=False, timeout=600, cwd=ROOT)

    def command(self, *arguments: str) -> list[str]:
        return [str(Path(sys.executable).with_name("daybreak")), *arguments]

    def write(self, *statements: str) -> None:
        """Change the source, in one transaction."""
        with psycopg.connect(self.url) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]

    def touch(self, table: str, key: int, assignment: str) -> None:
        """Update one row as an application would: its cursor moves past every other."""
        cursor = f"updated_at = (select max(updated_at) from {table}) + interval '1 second'"
        self.write(f"update {table} set {assignment}, {cursor} where {table.rstrip('s')}_id = {key}")

    def advance(self, days: int = 1, *, bad_rows: bool = False) -> Any:
        from pipelines.shop.simulator import advance_shop

        summary = advance_shop(self.url, days=days, bad_rows=bad_rows)
        self.today = summary.today
        return summary

    def source(self, sql: str) -> Rows:
        options = "-c TimeZone=UTC -c DateStyle=ISO,YMD -c bytea_output=hex"
        with psycopg.connect(self.url, options=options) as connection:
            return connection.execute(sql).fetchall()  # type: ignore[arg-type]

    def ask(self, sql: str, *, copy: bool = False) -> Rows:
        """Return rows of the warehouse, or of the read copy."""
        file = self.home / ("warehouse.read.duckdb" if copy else "warehouse.duckdb")
        with duckdb.connect(str(file), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            return connection.execute(sql).fetchall()

    def has(self, relation: str, *, copy: bool = False) -> bool:
        schema, _, name = relation.partition(".")
        return bool(self.ask(f"select 1 from duckdb_tables() where schema_name = '{schema}' and table_name = '{name}'", copy=copy))

    def dashboard(self) -> str:
        return (self.home / "dashboards" / "morning.html").read_text()

    def stamps(self) -> dict[str, int]:
        """When each file that people read was last written."""
        files = ("warehouse.duckdb", "warehouse.read.duckdb", "dashboards/morning.html")
        return {name: (self.home / name).stat().st_mtime_ns for name in files}


def fresh_database(server: str) -> str:
    """Make a database and return its URL; it goes with the server."""
    name = f"daybreak_{uuid4().hex}"  # this file is imported twice, as a conftest and by name, so a counter would start twice
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return server.replace("/shop?", f"/{name}?")


@contextmanager
def open_daybreak(server: str, home: Path, *, days: int = 6, today: date = TODAY) -> Iterator[Daybreak]:
    """Yield a project on a small new shop."""
    from pipelines.shop.simulator import create_shop

    url = fresh_database(server)
    create_shop(url, today=today, days=days, events_per_day=200)
    home.mkdir(parents=True, exist_ok=True)
    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        yield Daybreak(home, instance, {"SHOP_DATABASE_URL": url}, today)


@pytest.fixture(scope="module")
def shop(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daybreak]:
    """One project for the tests of a module, which run in order and leave it green."""
    with open_daybreak(postgres_server, tmp_path_factory.mktemp("daybreak") / "home") as daybreak:
        yield daybreak


@pytest.fixture(scope="session")
def first_morning(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daybreak]:
    """A project after its first green run, made once; `daybreak` gives each module a copy of it."""
    with open_daybreak(postgres_server, tmp_path_factory.mktemp("first") / "home") as daybreak:
        morning = daybreak.run()
        assert morning.is_green, morning.explain()
        daybreak.first = morning
        yield daybreak


@pytest.fixture(scope="module")
def daybreak(first_morning: Daybreak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daybreak]:
    """A project that had its first morning. All share one shop, so a module mends what it breaks in it."""
    with copy_of(first_morning, tmp_path_factory.mktemp("copy") / "home") as copied:
        yield copied


@contextmanager
def copy_of(daybreak: Daybreak, home: Path) -> Iterator[Daybreak]:
    """Yield the same project in another home, without its Dagster history."""
    shutil.copytree(daybreak.home, home, ignore=shutil.ignore_patterns("dagster", "shop"))
    (home / "dagster").mkdir()
    with dg.DagsterInstance.local_temp(str(home / "dagster")) as instance:
        yield replace(daybreak, home=home, instance=instance, environment=dict(daybreak.environment), today=shop_today(daybreak))


def shop_today(daybreak: Daybreak) -> date:
    ((last,),) = daybreak.source("select max(received_at)::date from events where received_at < now() + interval '100 years'")
    return max(daybreak.today, last + timedelta(days=1))
