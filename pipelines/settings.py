"""The environment as frozen, validated settings. The only place that reads environment variables."""

import difflib
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pipelines.catalog.read import read_catalog
from pipelines.errors import ConfigError
from pipelines.landing.address import LandingAddress, parse_landing
from pipelines.sync.spec import Hours, SourceSpec, TableSpec
from pipelines.warehouses import is_snowflake, warehouse_problems

PROJECT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Variable:
    """One environment variable: its default as text (``{home}`` and ``{project}`` are folders), and what it means."""

    name: str
    default: str | None
    meaning: str
    choices: tuple[str, ...] = ()


DEFAULT_HOME = ".daybreak"
UNREAD = "Nothing was read or written."
# The one list of what is read and of what docs/catalog.md tells.
VARIABLES = (
    Variable(
        "DAYBREAK_HOME", ".daybreak", "the folder of everything that this project writes, and of the file `env` with defaults for the rest"
    ),
    Variable("DAYBREAK_CATALOG", "{project}/pipelines/catalog", "the folder with one YAML file per source"),
    Variable(
        "DAYBREAK_WAREHOUSE_URL",
        "duckdb:///{home}/warehouse.duckdb",
        "where tables and marts are: a DuckDB file, or `snowflake://USER@ACCOUNT/DATABASE?warehouse=NAME`",
    ),
    Variable(
        "DAYBREAK_LANDING_URL",
        "{home}/landing",
        "the folder of landed Parquet files, or `s3://BUCKET/PREFIX?region=…`: see architecture.md",
    ),
    Variable(
        "DAYBREAK_STATE_URL", "sqlite:///{home}/state.db", "the mirror, a rebuildable copy of the state: SQLite, or PostgreSQL for a team"
    ),
    Variable("DAYBREAK_DBT_PROJECT", "{project}/dbt_project", "the folder of the dbt project"),
    Variable("DAYBREAK_TIME_ZONE", "UTC", "the IANA time zone whose midnights cut days and in which it is 06:00"),
    Variable("DAYBREAK_TODAY", None, "the day this project lives in, for a simulated source; without it, the clock's"),
    Variable("DAYBREAK_MASK_KEY", None, "the secret that keys `hmac` masks; without it, one is made once and kept in the home"),
    Variable("DAYBREAK_CHUNK_ROWS", "245760", "rows of one chunk at most; the default is two Parquet row groups as DuckDB likes them"),
    Variable("DAYBREAK_CHUNK_BYTES", "134217728", "bytes in memory of one chunk at most, about"),
    Variable("DAYBREAK_PARALLEL_TABLES", "2", "tables that one run syncs at once"),
    Variable("DAYBREAK_LOCK_WAIT_SECONDS", "300", "how long to wait for the warehouse file while another process uses it"),
    Variable(
        "DAYBREAK_MAX_SNAPSHOT_SECONDS",
        "900",
        "how long a query may take, and so a table without a unique index, which is one query",
    ),
    Variable("DAYBREAK_MAX_WINDOWS_PER_RUN", "400", "days of a partitioned table that one run loads at most"),
    Variable(
        "DAYBREAK_BACKFILL_HOURS",
        None,
        "when back-fills may read, in the project's time zone, such as 20:00-05:00; without it, at any time",
    ),
    Variable("DAYBREAK_BACKFILL_MAX_SESSIONS", "8", "sessions at work on a source above which a back-fill slows down"),
    Variable("DAYBREAK_READ_COPY", "on", "whether people and BI tools get a copy of the warehouse after each build", ("on", "off")),
    Variable("DAYBREAK_KEEP_LOADS", "3", "how many ended loads of a table keep their landed files, and as many held ones"),
    Variable("DAYBREAK_KEEP_VERSIONS", "14", "how many versions of a dashboard are kept"),
    Variable("DAYBREAK_KEEP_QUARANTINE_DAYS", "90", "how long a quarantined row is kept once it is fixed"),
    Variable("DAYBREAK_KEEP_HISTORY_DAYS", "90", "how long attempts, verdicts, and Dagster's runs and their logs are kept"),
    Variable("DAYBREAK_EXECUTOR", "in_process", "how Dagster runs steps", ("in_process", "multiprocess")),
)


@dataclass(frozen=True)
class Settings:
    """All that a run needs to know. Secrets are looked up by ``source_url`` and ``mask_key`` when a run needs them."""

    home: Path
    catalog_folder: Path
    warehouse_url: str
    landing: LandingAddress
    state_url: str
    time_zone: str
    today: date | None  # the morning this project lives in; None = the clock's
    chunk_rows: int
    chunk_bytes: int
    parallel_tables: int
    lock_wait_seconds: float
    max_snapshot_seconds: float
    max_windows_per_run: int
    backfill_hours: Hours | None
    backfill_max_sessions: int
    read_copy: bool
    keep_loads: int
    keep_versions: int
    keep_quarantine_days: int
    keep_history_days: int
    dbt_folder: Path
    environment: Mapping[str, str]

    def sources(self) -> tuple[SourceSpec, ...]:
        """Read the catalog. Raises ``ConfigError`` with every problem of every file."""
        return tuple(self._with_days(source) for source in read_catalog(self.catalog_folder))

    def source(self, name: str) -> SourceSpec:
        """Return a source of the catalog. Raises ``ConfigError`` naming those that there are."""
        sources = {source.name: source for source in self.sources()}
        if name not in sources:
            raise ConfigError([f"The catalog has no source `{name}`."], safe=UNREAD, remedy=f"Sources: {', '.join(sources)}.")
        return sources[name]

    def tables(self, source: str, names: Sequence[str] = ()) -> tuple[SourceSpec, tuple[TableSpec, ...]]:
        """Return a source and its tables called ``names``, or all. Raises ``ConfigError`` naming those that there are."""
        found = self.source(source)
        tables = {table.name: table for table in found.tables}
        if unknown := [name for name in names if name not in tables]:
            raise ConfigError(
                [f"Source `{source}` has no table `{name}` in the catalog." for name in unknown],
                safe=UNREAD,
                remedy=f"Tables: {', '.join(tables)}. Another one is added with `daybreak add {source} TABLE`.",
            )
        return found, tuple(tables[name] for name in names) or found.tables

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

    def local_time(self) -> time:
        """Return the time of day in the project's time zone."""
        return datetime.now(ZoneInfo(self.time_zone)).time()

    def local_today(self) -> date:
        """Return the project's date, in its time zone."""
        return self.today or datetime.now(ZoneInfo(self.time_zone)).date()


def load_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the environment, and below it the file ``env`` in the home. Raises ``ConfigError`` with every problem."""
    given = dict(os.environ if environ is None else environ)
    home = Path(given.get("DAYBREAK_HOME") or DEFAULT_HOME).absolute()
    environment = {**_read_env_file(home / "env"), **{name: value for name, value in given.items() if value}}
    defaults = {item.name: item.default.format(home=home, project=PROJECT) for item in VARIABLES if item.default is not None}
    values = {**defaults, **environment}
    problems = _name_problems(environment)
    settings = Settings(
        home=home,
        catalog_folder=Path(values["DAYBREAK_CATALOG"]).absolute(),
        warehouse_url=values["DAYBREAK_WAREHOUSE_URL"],
        landing=parse_landing(values["DAYBREAK_LANDING_URL"], home, environment, problems),
        state_url=values["DAYBREAK_STATE_URL"],
        time_zone=_time_zone(values["DAYBREAK_TIME_ZONE"], problems),
        today=_date(values.get("DAYBREAK_TODAY"), problems),
        chunk_rows=_number(values, "DAYBREAK_CHUNK_ROWS", problems),
        chunk_bytes=_number(values, "DAYBREAK_CHUNK_BYTES", problems),
        parallel_tables=_number(values, "DAYBREAK_PARALLEL_TABLES", problems),
        lock_wait_seconds=_number(values, "DAYBREAK_LOCK_WAIT_SECONDS", problems),
        max_snapshot_seconds=_number(values, "DAYBREAK_MAX_SNAPSHOT_SECONDS", problems),
        max_windows_per_run=_number(values, "DAYBREAK_MAX_WINDOWS_PER_RUN", problems),
        backfill_hours=_hours(values.get("DAYBREAK_BACKFILL_HOURS"), problems),
        backfill_max_sessions=_number(values, "DAYBREAK_BACKFILL_MAX_SESSIONS", problems),
        # Only of a file must people read a copy.
        read_copy=values["DAYBREAK_READ_COPY"] == "on" and not is_snowflake(values["DAYBREAK_WAREHOUSE_URL"]),
        keep_loads=_number(values, "DAYBREAK_KEEP_LOADS", problems),
        keep_versions=_number(values, "DAYBREAK_KEEP_VERSIONS", problems),
        keep_quarantine_days=_number(values, "DAYBREAK_KEEP_QUARANTINE_DAYS", problems),
        keep_history_days=_number(values, "DAYBREAK_KEEP_HISTORY_DAYS", problems),
        dbt_folder=Path(values["DAYBREAK_DBT_PROJECT"]).absolute(),
        environment=environment,
    )
    problems += [*_choice_problems(values), *_place_problems(settings), *warehouse_problems(settings.warehouse_url)]
    if problems:
        raise ConfigError(problems, safe=UNREAD, remedy="Mend the environment and start again.")
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


def _name_problems(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that are a known one, misspelt: they would be ignored in silence."""
    known = [item.name for item in VARIABLES]
    unknown = [name for name in environment if name.startswith("DAYBREAK_") and name not in known]
    close = {name: difflib.get_close_matches(name, known, n=1, cutoff=0.9) for name in sorted(unknown)}
    return [f"{name}: there is no such variable; did you mean {found[0]}?" for name, found in close.items() if found]


def _choice_problems(values: Mapping[str, str]) -> list[str]:
    wrong = [item for item in VARIABLES if item.choices and values[item.name] not in item.choices]
    return [f"{item.name}: {values[item.name]!r} is not one of {', '.join(item.choices)}" for item in wrong]


def _place_problems(settings: Settings) -> list[str]:
    """Return the places that DuckDB and SQLAlchemy read as something else: files would be made elsewhere, or not at all."""
    file = settings.warehouse_url if settings.warehouse_url.startswith("duckdb:") else ""
    places = {"DAYBREAK_HOME": str(settings.home), "DAYBREAK_WAREHOUSE_URL": file}
    wrong = [name for name, place in places.items() if "?" in place or "\\" in place]
    return [f"{name}: {places[name]!r} has a question mark or a backslash, which no DuckDB file may have in its path" for name in wrong]


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


def _hours(text: str | None, problems: list[str]) -> Hours | None:
    if not text:
        return None
    try:
        start, end = (time.fromisoformat(part.strip()) for part in text.split("-"))
    except ValueError:
        problems.append(f"DAYBREAK_BACKFILL_HOURS: {text!r} is not two times of day, such as 20:00-05:00")
        return None
    if start.tzinfo or end.tzinfo:
        problems.append(f"DAYBREAK_BACKFILL_HOURS: {text!r} has a time zone; the hours are in DAYBREAK_TIME_ZONE")
        return None
    if start == end:
        problems.append(f"DAYBREAK_BACKFILL_HOURS: {text!r} begins when it ends; without the variable, back-fills may read at any time")
    return Hours(start, end)


def _number(values: Mapping[str, str], name: str, problems: list[str]) -> int:
    text = values[name]
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        problems.append(f"{name}: {text!r} is not a whole number above zero")
        return 1
    return int(text)
