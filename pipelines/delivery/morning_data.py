"""Fills the morning page from the mirror and the read copy, and publishes it, or keeps the last good one and says why.

The page is replaced only if every mart under it was built from this morning's data (or stands, unchanged) and passed its tests.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from pipelines.delivery.banner import StaleBanner, empty_page, with_stale_banner
from pipelines.delivery.page import ModelHealth, MorningPage, SourceChange, TableHealth
from pipelines.delivery.pages import MORNING
from pipelines.delivery.publish import publish, read_published
from pipelines.delivery.read_copy import READ_COPY, read_copy_file
from pipelines.delivery.restated_data import list_restated
from pipelines.settings import Settings
from pipelines.state.builds import read_builds, read_deliveries, record_delivery
from pipelines.state.mirror import Mirror
from pipelines.state.verdicts import last_verdicts
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.marts import Ask, open_marts

if TYPE_CHECKING:
    import pyarrow as pa

TITLE = "Morning"
CURRENCY = "EUR"  # the marts convert every order into it
NEWS_FOR = timedelta(days=14)  # how long a change of a source is told on the page
KEPT_WINDOWS = 200  # loads of one sync at the most that are summed up
QUERIES = Path(__file__).parent / "queries"


@dataclass(frozen=True)
class MorningInputs:
    """What the page shows: dbt models by unique id, the raw tables (``raw_<source>.<table>``) under them, all models in brief."""

    models: tuple[str, ...]
    raw_tables: tuple[str, ...]
    all_models: tuple[str, ...]


@dataclass(frozen=True)
class Delivered:
    """How a delivery ended: published, unchanged, kept (the last good version, with a banner) or none (there never was one)."""

    status: str
    path: Path
    version: str
    data_as_of: datetime | None
    reasons: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """One line for the log."""
        return f"{self.path.name}: {self.status}{' because ' + '; '.join(self.reasons) if self.reasons else ''}"


def dashboard_file(settings: Settings) -> Path:
    """Return where the morning dashboard is published."""
    return settings.home / "dashboards" / f"{MORNING}.html"


def deliver_morning(settings: Settings, mirror: Mirror, shown: MorningInputs) -> Delivered:
    """Publish the page if it may be, else put a banner on the last good one. The mirror remembers which."""
    target, before = dashboard_file(settings), read_deliveries(mirror).get(f"dashboards/{MORNING}", {})
    reasons = _reasons_to_keep(settings, mirror, shown)
    if reasons:
        return _keep(settings, mirror, before, reasons)
    as_of = _data_as_of(settings, mirror, shown)
    news = (list_source_changes(settings, mirror), list_restated(settings, mirror, _tables_under(settings, shown)))
    health = (_table_health(settings, mirror), _model_health(settings, mirror, shown), *news, as_of)
    inputs = _digest(settings, mirror, shown, health)
    if before.get("inputs") == inputs and before.get("status") in ("published", "unchanged") and target.exists():
        record_delivery(mirror, f"dashboards/{MORNING}", **{**_known(before), "status": "unchanged"})
        return Delivered("unchanged", target, before["version"], _instant(before["data_as_of"]))
    page = _make_page(settings, health)
    from pipelines.delivery.morning import render_morning

    content = render_morning(page)
    published = publish(target, content, keep_versions=settings.keep_versions)
    version = published.version_path.stem if published.version_path else before.get("version", MORNING)
    _note(
        mirror,
        "published",
        inputs=inputs,
        version=version,
        data_as_of=as_of and as_of.isoformat(),
        published_at=datetime.now(UTC).isoformat(),
    )
    return Delivered("published", target, version, as_of)


def _reasons_to_keep(settings: Settings, mirror: Mirror, shown: MorningInputs) -> tuple[str, ...]:
    builds = read_builds(mirror)
    reasons = []
    for model in shown.models:
        build = builds.get(model)
        if build is None or build["status"] != "built":
            why = build["reason"] if build else "it was never built"
            reasons.append(f"{model.rpartition('.')[2]}: {why}")
    copy = read_deliveries(mirror).get(READ_COPY, {})
    if settings.read_copy and copy.get("status") in ("kept", "none"):
        reasons.append(copy["reason"])
    return tuple(reasons)


def _keep(settings: Settings, mirror: Mirror, before: Mapping[str, Any], reasons: tuple[str, ...]) -> Delivered:
    target, page = dashboard_file(settings), read_published(dashboard_file(settings))
    since = _instant(before.get("stale_since")) or datetime.now(UTC)
    banner = StaleBanner(since, reasons)
    content = with_stale_banner(page, banner) if page else empty_page(banner, title=TITLE, time_zone=settings.time_zone)
    publish(target, content, keep_versions=settings.keep_versions)
    status = "kept" if before.get("published_at") else "none"
    known = _known(before) if before else {"inputs": "", "version": "none"}
    _note(mirror, **{**known, "status": status, "stale_since": since.isoformat(), "reason": "; ".join(reasons)})
    return Delivered(status, target, known["version"], _instant(before.get("data_as_of")), reasons)


def _note(mirror: Mirror, status: str, **values: Any) -> None:  # noqa: ANN401 - the columns of the mirror's table
    record_delivery(mirror, f"dashboards/{MORNING}", **{"stale_since": None, "reason": None, **values, "status": status})


def _known(before: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in before.items() if name != "delivery"}


def _digest(settings: Settings, mirror: Mirror, shown: MorningInputs, health: tuple[Any, ...]) -> str:
    """Hash what the page would say. The hour of ``data as of`` is left out: a second look the same day is no news."""
    tables, models, changes, restated, as_of = health
    builds = read_builds(mirror)
    day = as_of.astimezone(ZoneInfo(settings.time_zone)).date() if as_of else None
    content = [
        [builds[model]["inputs"] for model in shown.models],
        [{**table.__dict__, "data_as_of": None} for table in tables],
        [model.__dict__ for model in models],
        [change.__dict__ for change in changes],
        [one.__dict__ for one in restated],
        [day, settings.time_zone, settings.local_today()],
    ]
    return hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()[:24]


def _tables_under(settings: Settings, shown: MorningInputs) -> list[TableSpec]:
    return [table for source in settings.sources() for table in source.tables if f"raw_{table.id}" in shown.raw_tables]


def _data_as_of(settings: Settings, mirror: Mirror, shown: MorningInputs) -> datetime | None:
    """Return the oldest of the times at which the tables under the page were equal to their source."""
    instants = [mirror.status(table.removeprefix("raw_")).data_as_of for table in shown.raw_tables]
    known = [instant for instant in instants if instant]
    return settings.in_project_time(min(known)) if known and len(known) == len(instants) else None


def _table_health(settings: Settings, mirror: Mirror) -> tuple[TableHealth, ...]:
    health = []
    for table in (table for source in settings.sources() for table in source.tables):
        status = mirror.status(table.id)
        # Of a held table, what was said of the load that was held; of any other, what was said of the one that stands.
        verdicts = last_verdicts(mirror, table.id, None if status.held_reason else status.load_id)
        counts = _last_sync_counts(mirror, table.id)
        # Rows that stepped aside are told as such: the check that sent them there did its work.
        failed = sum(not verdict.passed and verdict.on_failure != "quarantine" for verdict in verdicts)
        health.append(
            TableHealth(
                table=table.id,
                data_as_of=status.data_as_of and settings.in_project_time(status.data_as_of),
                rows_read=counts["read"],
                rows_loaded=counts["inserted"] + counts["updated"],
                rows_quarantined=counts["quarantined"],
                quarantined_open=status.quarantined_open,
                checks_passed=len(verdicts) - failed,
                checks_failed=failed,
                held_reason=status.held_reason,
            )
        )
    return tuple(health)


def _last_sync_counts(mirror: Mirror, table_id: str) -> Counter[str]:
    """Sum the loads of the last sync that committed something: days are loaded in several, as of one observation."""
    entries = mirror.last_entries(table_id, limit=KEPT_WINDOWS)
    return sum((Counter(entry["counts"]) for entry in entries if entry["data_as_of"] == entries[0]["data_as_of"]), Counter())


def _model_health(settings: Settings, mirror: Mirror, shown: MorningInputs) -> tuple[ModelHealth, ...]:
    health = []
    for model, build in sorted(read_builds(mirror).items()):
        name = model.rpartition(".")[2]
        if model not in shown.all_models or name.startswith("stg_") or not model.startswith("model."):
            continue
        verdicts = last_verdicts(mirror, model)
        is_left_out, built_at = build["status"] != "built", _instant(build["built_at"])
        health.append(
            ModelHealth(
                model=name,
                built_at=built_at and settings.in_project_time(built_at),
                tests_passed=sum(verdict.passed for verdict in verdicts),
                tests_failed=sum(not verdict.passed and verdict.on_failure != "warn" for verdict in verdicts),
                left_out_reason=(build["reason"] or build["status"]) if is_left_out else None,
            )
        )
    return tuple(health)


def list_source_changes(settings: Settings, mirror: Mirror) -> tuple[SourceChange, ...]:
    """Return what changed of the sources' schemas in the last weeks and was followed, newest first."""
    tables = [table for source in settings.sources() for table in source.tables]
    found = [
        SourceChange(table.id, settings.in_project_time(version.recorded_at), version.changes)
        for table in tables
        for version in mirror.schema_history(table.id)
        if version.changes and datetime.now(UTC) - version.recorded_at < NEWS_FOR
    ]
    return tuple(sorted(found, key=lambda change: change.followed_at, reverse=True))


def _make_page(settings: Settings, health: tuple[Any, ...]) -> MorningPage:
    tables, models, changes, restated, as_of = health
    with _open_marts(settings) as ask:
        return MorningPage(
            title=TITLE,
            published_at=settings.now(),
            data_as_of=as_of,
            time_zone=settings.time_zone,
            tables=tables,
            models=models,
            daily_revenue=_query(ask, "daily_revenue"),
            daily_funnel=_query(ask, "daily_funnel"),
            orders_by_status=_query(ask, "orders_by_status"),
            top_countries=_query(ask, "top_countries"),
            currency=CURRENCY,
            source_changes=changes,
            restated=restated,
        )


@contextmanager
def _open_marts(settings: Settings) -> Iterator[Ask]:
    """Open what people see: the read copy, or the warehouse itself where no copy is kept."""
    if settings.read_copy and read_copy_file(settings).exists():
        import duckdb

        with duckdb.connect(str(read_copy_file(settings)), read_only=True) as connection:
            yield lambda query: connection.sql(query).to_arrow_table()
        return
    with open_marts(settings).open("draw the dashboard") as ask:
        yield ask


def _query(ask: Ask, name: str) -> "pa.Table":
    return ask((QUERIES / f"{name}.sql").read_text(encoding="utf-8"))


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
