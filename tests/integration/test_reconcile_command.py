"""`daybreak reconcile` on the command line: exit codes, JSON, and what a person reads."""

import json

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import Project
from tests.integration.comparing import make_orders

pytestmark = pytest.mark.slow


@pytest.fixture
def command(project: Project, monkeypatch: pytest.MonkeyPatch) -> "Command":
    make_orders(project, deletes="reconcile")
    for name, value in project.settings.environment.items():
        monkeypatch.setenv(name, value)
    return Command()


class Command:
    def run(self, *arguments: str, code: int) -> str:
        result = CliRunner().invoke(app, ["reconcile", *arguments])
        assert result.exit_code == code, result.output
        return result.output


def test_an_equal_table_ends_with_0_and_says_the_numbers(command: Command) -> None:
    assert "shop.t: 30 = 30, content equal as of " in command.run("shop", "t", code=0)
    assert "shop.t: 30 = 30" in command.run(code=0)


def test_a_table_that_differs_ends_with_3_and_names_its_keys(command: Command, project: Project) -> None:
    project.run("update t set n = 0 where id = 17", "delete from t where id = 3")
    told = command.run("shop", "t", code=3)
    assert "29 ≠ 30, 1 gone from the source, 1 different" in told
    assert "  different: 17" in told
    assert "  extra: 3" in told
    (found,) = json.loads(command.run("shop", "t", "--json", code=3))
    assert {(one["kind"], *one["key"]) for one in found["differences"]} == {("different", "17"), ("extra", "3")}
    healed = command.run("shop", "t", "--heal", code=0)
    assert "29 = 29, content equal" in healed
    assert "1 read again and equal now; 1 deleted" in healed


def test_many_deletes_wait_for_a_person_by_name(command: Command, project: Project) -> None:
    project.run("delete from t where id > 10")
    assert "nothing was deleted: 20 of 30" in command.run("shop", "t", "--heal", code=3)
    assert "20 deleted, allowed by ada" in command.run("shop", "t", "--heal", "--allow-mass-delete", "--by", "ada", code=0)


def test_what_cannot_be_meant_is_told(command: Command) -> None:
    command.run("shop", "--heal", "--allow-mass-delete", "--by", "ada", code=2)
    command.run("shop", "nothing", code=2)
    command.run("elsewhere", code=2)


def test_status_says_what_the_last_comparison_found(command: Command, project: Project) -> None:
    project.run("update t set n = 0 where id = 17")
    command.run("shop", "t", code=3)
    (row,) = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)
    assert (row["parity"]["outcome"], row["parity"]["different"]) == ("differs", 1)
    assert "not what the source has" in CliRunner().invoke(app, ["status"]).output
    (project.home / "state.db").unlink()  # it is copied from the warehouse again
    for leftover in project.home.glob("state.db-*"):
        leftover.unlink()
    from pipelines.wiring import open_mirror

    open_mirror.cache_clear()
    (row,) = json.loads(CliRunner().invoke(app, ["status", "--json"]).output)
    assert row["parity"]["different"] == 1
