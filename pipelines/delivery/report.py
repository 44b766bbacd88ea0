"""The morning report: what a run read, loaded, quarantined, tested and published, and what it kept back. JSON for machines."""

import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.delivery.escalation import HeldTable, tell_escalation, tell_standing
from pipelines.delivery.markdown import escape_markdown, write_table
from pipelines.delivery.publish import publish
from pipelines.settings import Settings
from pipelines.state.builds import read_builds, read_deliveries
from pipelines.state.mirror import Mirror
from pipelines.state.results import results_of
from pipelines.state.verdicts import last_verdicts
from pipelines.sync.spec import TableSpec

KEPT_REPORTS = 90


@dataclass(frozen=True)
class MorningReport:
    """What happened, in numbers. ``problems`` is empty exactly if the run may look green."""

    run_id: str
    started_at: str
    written_at: str
    tables: Sequence[Mapping[str, Any]]
    models: Sequence[Mapping[str, Any]]
    deliveries: Sequence[Mapping[str, Any]]
    problems: Sequence[str]

    def as_markdown(self) -> str:
        """Render for the Dagster UI."""
        rows = [[table[name] for name in ("table", "outcome", "read", "loaded", "quarantined", "data_as_of")] for table in self.tables]
        tables = write_table(("table", "outcome", "read", "loaded", "quarantined", "data as of"), rows)
        built = "; ".join(f"{model['model']}: {model['status']}" for model in self.models)
        problems = [f"- **{escape_markdown(problem)}**" for problem in self.problems]
        return "\n".join([tables, "", f"Models: {escape_markdown(built)}", "", *problems])


@dataclass(frozen=True)
class RunFacts:
    """Which run is told of, and what belongs to the project now: the mirror also remembers what was removed from it."""

    run_id: str
    started_at: datetime
    models: Set[str]  # unique ids
    deliveries: Set[str]
    resumes: Sequence[str] = ()  # ids of the runs that were killed and that this one goes on with, oldest first


def make_report(settings: Settings, mirror: Mirror, run: RunFacts) -> MorningReport:
    """Gather the report of a run from the mirror; tables that the run did not touch are told from their standing state."""
    results = results_of(mirror, [*run.resumes, run.run_id])
    tables = [_table(mirror, table, results.get(table.id)) for source in settings.sources() for table in source.tables]
    models = [_model(mirror, model, build) for model, build in sorted(read_builds(mirror).items()) if model in run.models]
    deliveries = [
        {"delivery": name, "status": item["status"], "data_as_of": item["data_as_of"], "reason": item["reason"]}
        for name, item in sorted(read_deliveries(mirror).items())
        if name in run.deliveries
    ]
    problems = [*_held(tables), *_not_built(models)]
    problems += [f"{item['delivery']} was not published: {item['reason']}" for item in deliveries if item["status"] in ("kept", "none")]
    written_at = datetime.now(UTC).isoformat(timespec="seconds")
    started_at = run.started_at.astimezone(UTC).isoformat(timespec="microseconds")
    return MorningReport(run.run_id, started_at, written_at, tables, models, deliveries, problems)


def _held(tables: Sequence[Mapping[str, Any]]) -> list[str]:
    """One problem a root cause: a source that is down is one, however many tables it has."""
    causes: dict[str, list[Mapping[str, Any]]] = {}
    for table in tables:
        if table["held"]:
            causes.setdefault(table["held"], []).append(table)
    return [_tell_held(cause, those) for cause, those in causes.items()]


def _tell_held(cause: str, tables: Sequence[Mapping[str, Any]]) -> str:
    names = ", ".join(table["table"] for table in tables)
    held = [HeldTable(table["owner"], table["held_mornings"], _instant(table["held_since"])) for table in tables]
    return f"{tell_escalation(held)}{names} {'is' if len(tables) == 1 else 'are'} {tell_standing(held)}: {cause}"


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _not_built(models: Sequence[Mapping[str, Any]]) -> list[str]:
    """One problem a root cause, here too: models that were left out for one reason, and those that stand on a failed one."""
    causes: dict[str, list[str]] = {}
    for model in models:
        if model["status"] == "left_out":
            causes.setdefault(model["reason"], []).append(model["model"])
    told = [f"Left out, and as of the last good build: {', '.join(names)}, because {cause}" for cause, names in causes.items()]
    return told + [f"{model['model']} failed: {model['reason']}" for model in models if model["status"] == "failed"]


def write_report(settings: Settings, report: MorningReport) -> Path:
    """Publish the report as ``reports/morning.json``, with the earlier ones beside it."""
    return publish(
        settings.home / "reports" / "morning.json", json.dumps(asdict(report), indent=1, default=str), keep_versions=KEPT_REPORTS
    ).path


def read_report(settings: Settings, run_id: str) -> Mapping[str, Any] | None:
    """Return the published report if it is the run's."""
    file = settings.home / "reports" / "morning.json"
    report: Mapping[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    return report if report.get("run_id") == run_id else None


def _table(mirror: Mirror, table: TableSpec, result: Mapping[str, Any] | None) -> Mapping[str, Any]:
    status = mirror.status(table.id)
    numbers = result["numbers"] if result else {}
    return {
        "table": table.id,
        "owner": table.owner,
        "outcome": result["outcome"] if result else "not run",
        "read": numbers.get("read", 0),
        "loaded": numbers.get("inserted", 0) + numbers.get("updated", 0),
        **{name: numbers.get(name, 0) for name in ("inserted", "updated", "unchanged", "superseded", "quarantined", "deleted")},
        "total_rows": status.total_rows,
        "quarantined_open": status.quarantined_open,
        "data_as_of": status.data_as_of.isoformat(timespec="seconds") if status.data_as_of else None,
        "note": result["note"] if result else "",
        "held": status.held_reason,
        "held_since": status.held_since.isoformat(timespec="seconds") if status.held_since else None,
        "held_mornings": status.held_mornings,
    }


def _model(mirror: Mirror, model: str, build: Mapping[str, Any]) -> Mapping[str, Any]:
    verdicts = last_verdicts(mirror, model)
    return {
        "model": model.rpartition(".")[2],
        "status": build["status"],
        "reason": build["reason"],
        "built_at": build["built_at"],
        "noted_at": build["noted_at"],
        "tests_passed": sum(verdict.passed for verdict in verdicts),
        "tests_failed": sum(not verdict.passed and verdict.on_failure != "warn" for verdict in verdicts),
        "warnings": [verdict.check for verdict in verdicts if not verdict.passed and verdict.on_failure == "warn"],
    }
