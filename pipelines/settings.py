"""The environment as frozen, validated settings. The only place that reads environment variables."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipelines.catalog.read import read_catalog
from pipelines.errors import ConfigError
from pipelines.sync.spec import SourceSpec

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Settings:
    """All that a run needs to know. Secrets are looked up by ``source_url`` and ``mask_key`` when a run needs them."""

    home: Path
    catalog_folder: Path
    warehouse_url: str
    landing_folder: Path
    state_url: str
    time_zone: str
    today: date | None  # the morning this project lives in; None = the clock's
    chunk_rows: int
    chunk_bytes: int
    parallel_tables: int
    lock_wait_seconds: float
    max_snapshot_seconds: float
    max_windows_per_run: int
    read_copy: bool
    dbt_folder: Path
    environment: Mapping[str, str]

    def sources(self) -> tuple[SourceSpec, ...]:
        """Read the catalog. Raises ``ConfigError`` with every problem of every file."""
        return tuple(self._with_days(source) for source in read_catalog(self.catalog_folder))

    def _with_days(self, source: SourceSpec) -> SourceSpec:
        """Return the source with its days cut in the project's time zone: another zone means other days, which are read again."""
        tables = tuple(
            replace(table, partition=replace(table.partition, time_zone=self.time_zone)) if table.partition else table
            for table in source.tables
        )
        return replace(source, tables=tables)

    def source_url(self, source: SourceSpec) -> str:
        """Return the source's URL. Raises ``ConfigError`` naming the variable when it is not set."""
        url = self.environment.get(source.url_env, "")
        if not url:
            raise ConfigError(
                [f"Source `{source.name}`: {source.url_env} is not set."],
                safe="Nothing was read.",
                remedy=f"Set it, for example {source.url_env}=postgresql://user:password@host:5432/database",
            )
        return url

    def mask_key(self) -> bytes:
        """Return the key of ``hmac`` masks: DAYBREAK_MASK_KEY, or one made once and kept in the home (readable by its owner)."""
        if given := self.environment.get("DAYBREAK_MASK_KEY"):
            return given.encode()
        file = self.home / "mask.key"
        if not file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            temporary = file.with_suffix(f".{os.getpid()}.{secrets.token_hex(4)}")
            with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_hex(32))
            try:
                os.link(temporary, file)  # the first of several processes wins; the others read its key
            except FileExistsError:
                pass
            finally:
                temporary.unlink()
        return file.read_bytes()

    def now(self) -> datetime:
        """Return the instant this project lives in (UTC): the clock, moved to ``today`` where that is set."""
        return self.in_project_time(datetime.now(UTC))

    def in_project_time(self, instant: datetime) -> datetime:
        """Return an instant of the clock as one of the project's days: a simulated source may live in next week."""
        if self.today is None:
            return instant
        return instant + (self.today - datetime.now(ZoneInfo(self.time_zone)).date())

    def local_today(self) -> date:
        """Return the project's date, in its time zone."""
        return self.today or datetime.now(ZoneInfo(self.time_zone)).date()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment, and below it the file ``env`` in the home. Raises ``ConfigError`` with every problem."""
    given = dict(os.environ if environ is None else environ)
    home = Path(given.get("DAYBREAK_HOME") or ".daybreak").absolute()
    values = {**_read_env_file(home / "env"), **{name: value for name, value in given.items() if value}}
    problems: list[str] = []
    settings = Settings(
        home=home,
        catalog_folder=Path(values.get("DAYBREAK_CATALOG", PROJECT / "pipelines" / "catalog")).absolute(),
        warehouse_url=values.get("DAYBREAK_WAREHOUSE_URL", f"duckdb:///{home}/warehouse.duckdb"),
        landing_folder=_landing_folder(values.get("DAYBREAK_LANDING_URL", str(home / "landing")), problems),
        state_url=values.get("DAYBREAK_STATE_URL", f"sqlite:///{home}/state.db"),
        time_zone=_time_zone(values.get("DAYBREAK_TIME_ZONE", "UTC"), problems),
        today=_date(values.get("DAYBREAK_TODAY"), problems),
        chunk_rows=_number(values, "DAYBREAK_CHUNK_ROWS", 245_760, problems),  # 2 Parquet row groups that DuckDB likes
        chunk_bytes=_number(values, "DAYBREAK_CHUNK_BYTES", 128 * 2**20, problems),
        parallel_tables=_number(values, "DAYBREAK_PARALLEL_TABLES", 2, problems),
        lock_wait_seconds=_number(values, "DAYBREAK_LOCK_WAIT_SECONDS", 300, problems),
        max_snapshot_seconds=_number(values, "DAYBREAK_MAX_SNAPSHOT_SECONDS", 900, problems),
        max_windows_per_run=_number(values, "DAYBREAK_MAX_WINDOWS_PER_RUN", 400, problems),
        read_copy=values.get("DAYBREAK_READ_COPY", "on") not in ("off", "0", "false"),
        dbt_folder=PROJECT / "dbt_project",
        environment=values,
    )
    if problems:
        raise ConfigError(problems, safe="Nothing was read or written.", remedy="Mend the environment and start again.")
    return settings


def write_env_file(home: Path, values: Mapping[str, str]) -> None:
    """Merge ``values`` into the home's ``env`` file, which the real environment overrides."""
    home.mkdir(parents=True, exist_ok=True)
    merged = {**_read_env_file(home / "env"), **values}
    temporary = home / f"env.{os.getpid()}"
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
        out.writelines(f"{name}={value}\n" for name, value in sorted(merged.items()))
    temporary.replace(home / "env")


def _read_env_file(file: Path) -> dict[str, str]:
    if not file.exists():
        return {}
    pairs = (line.partition("=") for line in file.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _landing_folder(url: str, problems: list[str]) -> Path:
    if "://" in url and not url.startswith("file://"):
        problems.append(f"DAYBREAK_LANDING_URL: {url!r} is not a folder; only local folders are supported so far")
    return Path(url.removeprefix("file://")).absolute()


def _time_zone(name: str, problems: list[str]) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        problems.append(f"DAYBREAK_TIME_ZONE: {name!r} is not an IANA time zone, such as Europe/Paris")
        return "UTC"
    return name


def _date(text: str | None, problems: list[str]) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        problems.append(f"DAYBREAK_TODAY: {text!r} is not a date, such as 2026-01-31")
        return None


def _number(values: Mapping[str, str], name: str, default: int, problems: list[str]) -> int:
    text = values.get(name, str(default))
    if not text.isdigit() or int(text) == 0:
        problems.append(f"{name}: {text!r} is not a whole number above zero")
        return default
    return int(text)
