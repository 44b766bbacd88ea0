"""What the tests of the doctor share: a table that is as it should be, and ways to pick findings."""

from pipelines.doctor.examine import examine
from pipelines.doctor.finding import Finding
from tests.conftest import Project

TABLE = (
    "create table t (id int primary key, name text, at timestamptz not null default now())",
    "create index on t (at)",
    "insert into t select i, 'old' from generate_series(1, 20) i",
    "analyze t",
)


def declare_healthy(project: Project) -> Project:
    """Make table `t`, declare it, and return its project."""
    project.environment["DAYBREAK_MASK_KEY"] = "k" * 32
    project.run(*TABLE)
    project.declare("t", "incremental", key=["id"], cursor="at")
    return project


def find(project: Project, area: str = "source shop", subject: str | None = None) -> list[Finding]:
    findings = examine(project.settings.environment)
    return [finding for finding in findings if finding.area == area and subject in (None, finding.subject)]


def grave(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [(finding.area, finding.subject, finding.found) for finding in findings if finding.state in ("problem", "warning")]


def only(findings: list[Finding], state: str) -> Finding:
    (finding,) = [finding for finding in findings if finding.state == state]
    return finding


def user_of(project: Project) -> str:
    return project.url.partition("//")[2].partition(":")[0]
