"""`daybreak doctor` as a whole: green on a healthy project, whatever is wrong at once, and it changes nothing."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.doctor.examine import examine
from pipelines.errors import ConfigError
from tests.conftest import Project
from tests.integration.examining import declare_healthy, grave


@pytest.fixture
def table(project: Project) -> Project:
    return declare_healthy(project)


def test_a_healthy_project_has_no_problem_and_no_warning_before_and_after_its_first_sync(table: Project) -> None:
    assert grave(examine(table.settings.environment)) == []
    table.commit("t")
    findings = examine(table.settings.environment)
    assert grave(findings) == []
    seen = {(finding.area, finding.subject) for finding in findings if finding.state == "ok"}
    assert {("warehouse", "file"), ("mirror", "layout"), ("source shop", "pooler"), ("source shop", "t")} <= seen


def contents(project: Project) -> dict[Path, bytes]:
    """Every file of the home; of a lock not who held it last and in which second, which is all that looking may leave."""
    files = [path for path in project.home.rglob("*") if path.is_file()]
    return {path: b"" if path.suffix == ".lock" else path.read_bytes() for path in files}


def test_it_changes_nothing(table: Project) -> None:
    table.commit("t")
    examine(table.settings.environment)  # SQLite puts its log into the file at the first look
    before = contents(table)
    examine(table.settings.environment)
    assert contents(table) == before
    assert table.fetch("select count(*) from t") == [(20,)]


def invoke(project: Project, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["doctor", *arguments], env=dict(project.settings.environment))


def test_the_command_ends_with_2_for_a_problem_and_0_without_one(table: Project) -> None:
    done = invoke(table)
    assert done.exit_code == 0, done.output
    assert "0 problems" in done.output
    table.declare("gone", "snapshot")
    done = invoke(table, "shop")
    assert done.exit_code == 2
    assert "1 problem" in done.output
    assert "there is no table" in done.output
    rows = json.loads(invoke(table, "--json").stdout)
    assert [row["subject"] for row in rows if row["state"] == "problem"] == ["gone"]
    assert set(rows[0]) == {"area", "subject", "state", "found", "remedy"}


@pytest.mark.parametrize("columns", ["80", "160"])
def test_the_table_fits_the_terminal(table: Project, columns: str) -> None:
    done = CliRunner().invoke(app, ["doctor"], env={**table.settings.environment, "COLUMNS": columns})
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert any("pooler" in line and "ok" in line for line in lines)


def test_a_source_that_the_catalog_does_not_have_is_a_mistake_of_the_command(table: Project) -> None:
    with pytest.raises(ConfigError, match="no source `shpo`"):
        examine(table.settings.environment, "shpo")
    assert invoke(table, "shpo").exit_code == 2
