"""Makes every check, whatever the others find: settings, then sources side by side, then what is on this machine."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from pipelines.doctor.bucket_checks import check_bucket
from pipelines.doctor.finding import Finding, State
from pipelines.doctor.machine_checks import check_dagster, check_dbt, check_secrets, check_versions
from pipelines.doctor.mirror_checks import check_mirror
from pipelines.doctor.server_checks import check_server
from pipelines.doctor.table_checks import check_tables
from pipelines.doctor.warehouse_checks import check_landing, check_warehouse
from pipelines.errors import ConfigError, DaybreakError, PrerequisiteError
from pipelines.settings import Settings, load_settings
from pipelines.sources.postgres_health import fetch_facts
from pipelines.sync.spec import SourceSpec

PARALLEL_SOURCES = 8  # they wait for their servers, and not for this machine
URLS = {"warehouse": "DAYBREAK_WAREHOUSE_URL", "landing": "DAYBREAK_LANDING_URL", "mirror": "DAYBREAK_STATE_URL"}


def examine(environment: Mapping[str, str], only: str | None = None) -> list[Finding]:
    """Return what all checks found; with ``only``, no other source is asked.

    Raises ``ConfigError`` only if the catalog has no source called ``only``.
    """
    settings, findings = _load(environment)
    if settings is None:
        return [*findings, *check_versions()]
    sources, unread = _read_catalog(settings, only)
    known = sources or ()
    findings += _guard("environment", lambda: check_secrets(settings, known))
    findings += unread
    with ThreadPoolExecutor(PARALLEL_SOURCES, thread_name_prefix="doctor") as pool:
        asked = list(pool.map(lambda source: _check_source(settings, source), [source for source in known if _has_url(settings, source)]))
    findings += [finding for found, _ in asked for finding in found]
    largest = max((size for _, size in asked), default=0)
    checks: dict[str, Callable[[], list[Finding]]] = {
        "warehouse": lambda: check_warehouse(settings),
        "landing": lambda: [*check_landing(settings, largest), *check_bucket(settings)],
        "mirror": lambda: check_mirror(settings),
        "dbt": lambda: check_dbt(settings, known),
        "dagster": lambda: check_dagster(settings),
        "versions": check_versions,
    }
    wrong = {finding.subject for finding in findings if finding.area == "environment"}
    for area, check in checks.items():
        if URLS.get(area) in wrong:  # else the default would be examined, and nobody has asked for that
            findings.append(Finding(area, "access", "problem", f"was not examined: {URLS[area]} is wrong", "Mend it, and ask again."))
        else:
            findings += _guard(area, check)
    return findings


def _load(environment: Mapping[str, str]) -> tuple[Settings | None, list[Finding]]:
    """Read the settings; what is wrong with them is left out, so that the rest can be examined."""
    try:
        return load_settings(environment), []
    except ConfigError as error:
        findings = [Finding("environment", *_split(problem), remedy=error.remedy) for problem in error.problems]
    wrong = {finding.subject for finding in findings}
    try:
        return load_settings({name: value for name, value in environment.items() if name not in wrong}), findings
    except ConfigError:  # the mistake stands in the home's `env`
        remedy = "Mend the settings above, and ask again."
        return None, [*findings, Finding("environment", "settings", "problem", "nothing that depends on them was examined", remedy)]


def _split(problem: str) -> tuple[str, State, str]:
    """Return the subject of a problem that is told as "subject: what", its state, and what."""
    subject, separator, what = problem.partition(": ")
    return (subject, "problem", what) if separator else ("settings", "problem", problem)


def _read_catalog(settings: Settings, only: str | None) -> tuple[tuple[SourceSpec, ...] | None, list[Finding]]:
    try:
        sources = settings.sources()
    except ConfigError as error:
        problems = [Finding("catalog", "catalog", "problem", problem, error.remedy) for problem in error.problems]
        unread = Finding("catalog", "sources", "problem", "no source was examined: the catalog cannot be read", error.remedy)
        return None, [*problems, unread]
    if only:
        settings.source(only)
    tables = sum(len(source.tables) for source in sources)
    told = f"{settings.catalog_folder}: {len(sources)} source{'s' if len(sources) > 1 else ''}, {tables} table{'s' if tables > 1 else ''}"
    return tuple(source for source in sources if only in (None, source.name)), [Finding("catalog", "catalog", "ok", told)]


def _has_url(settings: Settings, source: SourceSpec) -> bool:
    return bool(settings.environment.get(source.url_env))


def _check_source(settings: Settings, source: SourceSpec) -> tuple[list[Finding], int]:
    """Return what a source's checks found, and the bytes of its largest table."""
    largest: list[int] = []

    def check() -> list[Finding]:
        facts = fetch_facts(source, settings.source_url(source))
        largest.extend(table.bytes for table in facts.tables)
        return [*check_server(source, facts), *check_tables(source, facts)]

    return _guard(f"source {source.name}", check), max(largest, default=0)


def _guard(area: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Make a check; what keeps it from being made is a finding, and the other checks go on."""
    try:
        return check()
    except (ConfigError, PrerequisiteError) as error:
        return [Finding(area, "access", "problem", problem, error.remedy) for problem in error.problems]
    except DaybreakError as error:
        return [Finding(area, "access", "problem", error.what, error.remedy)]
    except OSError as error:
        return [Finding(area, "access", "problem", str(error), "Mend its permissions.")]


def count_states(findings: Sequence[Finding]) -> dict[str, int]:
    """Return how many findings there are of each state, gravest first."""
    return {state: sum(finding.state == state for finding in findings) for state in ("problem", "warning", "note", "ok")}
