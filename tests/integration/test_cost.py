"""What loads cost is told from the mirror: statements, bytes that were staged, rows that were merged."""

import json

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import Project


@pytest.fixture
def table(project: Project) -> Project:
    project.run("create table t (id int primary key, at timestamptz default now())", "insert into t select generate_series(1, 20)")
    project.declare("t", "incremental", key=["id"], cursor="at")
    return project


def test_the_cost_of_the_last_load_and_of_the_week_is_told(table: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    first = table.commit("t").loads[0]
    table.run("insert into t values (100)")
    second = table.commit("t").loads[0]
    assert first.statements
    assert second.statements
    for name, value in table.settings.environment.items():
        monkeypatch.setenv(name, value)
    (row,) = json.loads(CliRunner().invoke(app, ["status", "--cost", "--json"]).stdout)
    assert row["last"] == {"statements": second.statements, "bytes": second.bytes, "merged": 1}
    assert row["week"] == {"statements": first.statements + second.statements, "bytes": first.bytes + second.bytes, "merged": 21}
    assert row["loads"] == 2
    shown = CliRunner().invoke(app, ["status", "--cost"])
    assert shown.exit_code == 0
    assert "shop.t" in shown.stdout
