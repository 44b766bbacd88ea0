"""What this machine has: versions, secrets' files, the dbt project and Dagster's home. Nothing heavy is imported to know it."""

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from pipelines.assets.manifest import dbt_executable
from pipelines.doctor.disk import check_folder
from pipelines.doctor.finding import Finding
from pipelines.names import make_slug
from pipelines.settings import Settings
from pipelines.sync.spec import SourceSpec

SHOWN = ("dagster", "dbt-core", "dbt-duckdb", "duckdb", "great-expectations")
KEY_BYTES = 16  # a shorter key can be tried out
OTHERS = 0o077  # the permission bits of everybody but the owner
_SOURCE_CALL = re.compile(r"source\(\s*['\"]([^'\"]+)['\"]\s*,\s*['\"]([^'\"]+)['\"]\s*\)")


def check_versions(project: str = "daybreak") -> list[Finding]:
    """Compare what is installed with what ``project`` was installed with the demand for."""
    try:
        demanded = [Requirement(text) for text in metadata.requires(project) or ()]
        python = metadata.metadata(project)["Requires-Python"] or ""
    except metadata.PackageNotFoundError:
        return [Finding("versions", project, "note", "is not installed as a package, so its demands are not known", "make install")]
    found = {item.name: _installed(item.name) for item in demanded if item.marker is None or item.marker.evaluate()}
    wrong = list(_unmet(demanded, found))
    running = ".".join(map(str, sys.version_info[:3]))
    if running not in SpecifierSet(python):
        wrong.append(Finding("versions", "python", "problem", f"{running}, and {python} is needed", "Make the environment anew with that."))
    if wrong:
        return wrong
    shown = ", ".join(f"{name} {found[name]}" for name in SHOWN if name in found)
    return [Finding("versions", "installed", "ok", f"python {running}, {shown}; as this project demands them")]


def _unmet(demanded: Sequence[Requirement], found: dict[str, str | None]) -> Iterator[Finding]:
    for item in demanded:
        if item.name not in found:
            continue
        version = found[item.name]
        if version is None:
            yield Finding("versions", item.name, "problem", "is not installed", "make install")
        elif not item.specifier.contains(version, prereleases=True):
            yield Finding("versions", item.name, "problem", f"{version}, and {item.specifier} is needed", "make install")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_secrets(settings: Settings, sources: Sequence[SourceSpec]) -> list[Finding]:
    """Look at the file of the environment and the key of the masks: are they there, and the owner's only."""
    area, findings = "environment", []
    if (settings.home / "env").exists():
        findings.append(_check_private(area, settings.home / "env", "it may hold the sources' passwords"))
    for source in sources:
        if not settings.environment.get(source.url_env):
            example = f"{source.url_env}=postgresql://user:password@host:5432/database"
            findings.append(
                Finding(area, source.url_env, "problem", f"is not set, so source `{source.name}` is not read", f"Set {example}")
            )
    if any("hmac" in table.masks.values() for source in sources for table in source.tables):
        findings.append(_check_key(area, settings))
    return findings


def _check_key(area: str, settings: Settings) -> Finding:
    file, given = settings.home / "mask.key", settings.environment.get("DAYBREAK_MASK_KEY")
    if not given and not file.exists():
        return Finding(
            area, "mask key", "note", f"{file} is made by the first load that needs it", "Keep a copy: without it hashes change."
        )
    length = len(given.encode()) if given else file.stat().st_size
    if length < KEY_BYTES:
        weak = f"the key of hmac masks has {length} bytes: what it hides can be found by trying keys"
        return Finding(area, "mask key", "problem" if length == 0 else "warning", weak, "Take 32 random bytes; all hashes change with it.")
    if given:
        return Finding(area, "mask key", "ok", "given by DAYBREAK_MASK_KEY")
    return _check_private(area, file, "with it, what the masks hide can be guessed")


def _check_private(area: str, file: Path, why: str) -> Finding:
    if file.stat().st_mode & OTHERS:
        open_to = f"other users of this machine may read {file}: {why}"
        return Finding(area, file.name, "warning", open_to, f"chmod 600 {file}")
    return Finding(area, file.name, "ok", f"{file}, its owner's only")


def check_dbt(settings: Settings, sources: Sequence[SourceSpec]) -> list[Finding]:
    """Look at the dbt project: its files, dbt itself, and which tables of the catalog no model reads."""
    folder, findings = settings.dbt_folder, []
    for name in ("dbt_project.yml", "profiles.yml"):
        if not (folder / name).is_file():
            told = f"there is no {folder / name}"
            findings.append(Finding("dbt", name, "problem", told, "Restore it: the project in this repository has one."))
    if not Path(dbt_executable()).is_file():
        findings.append(Finding("dbt", "dbt", "problem", f"there is no {dbt_executable()}", "make install"))
    read = {call for file in sorted((folder / "models").rglob("*.sql")) for call in _SOURCE_CALL.findall(file.read_text(encoding="utf-8"))}
    # `daybreak add` names a table whose name is no plain word by its slug.
    names = {table.id: {(source.name, table.name), (source.name, make_slug(table.name))} for source in sources for table in source.tables}
    unread = [table for source in sources for table in source.tables if not names[table.id] & read]
    for table in unread:
        told = "no dbt model reads it: it is loaded, and no mart can build on it"
        findings.append(Finding("dbt", table.id, "note", told, f"daybreak add {table.source} {table.name}"))
    if not findings:
        findings.append(Finding("dbt", "project", "ok", f"{folder}; every table of the catalog has a model that reads it"))
    return findings


def check_dagster(settings: Settings) -> list[Finding]:
    """Look at Dagster's home: can it be written, and does its file say what this project needs."""
    folder = Path(settings.environment.get("DAGSTER_HOME") or settings.home / "dagster").absolute()
    findings = [check_folder("dagster", folder, "DAGSTER_HOME")]
    file = folder / "dagster.yaml"
    if not file.is_file():
        return [*findings, Finding("dagster", "dagster.yaml", "note", f"{file} is not there; `daybreak run` and `daybreak ui` make it")]
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        return [
            *findings,
            Finding(
                "dagster",
                "dagster.yaml",
                "problem",
                f"{file} is not YAML: {getattr(error, 'problem', None) or 'not UTF-8'}",
                "Mend it, or delete it: it is made anew.",
            ),
        ]
    return [*findings, *_judge_instance(file, said if isinstance(said, dict) else {})]


def _judge_instance(file: Path, said: dict[str, object]) -> Iterator[Finding]:
    telemetry = said.get("telemetry")
    if isinstance(telemetry, dict) and telemetry.get("enabled") is False:
        yield Finding("dagster", "telemetry", "ok", "off")
    else:
        remedy = f"Write into {file}: telemetry: {{enabled: false}}"
        yield Finding(
            "dagster", "telemetry", "warning", "on: Dagster obeys nothing but its own file, and that does not turn it off", remedy
        )
    stores = [name for name in ("storage", "run_storage", "event_log_storage", "schedule_storage") if name in said]
    where = f"as {file} configures it ({', '.join(stores)}); not examined" if stores else f"SQLite under {file.parent}"
    yield Finding("dagster", "storage", "note" if stores else "ok", where)
