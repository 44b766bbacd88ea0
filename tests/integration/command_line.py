"""The command line on a test's project, as a person would use it, and what every failure there must leave behind."""

import json
import re
from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.conftest import Project


@dataclass(frozen=True)
class Said:
    """What a command printed, on one line for each paragraph, and its exit code."""

    exit_code: int
    text: str

    def tells(self, *parts: str) -> bool:
        missing = [part for part in parts if part not in self.text]
        assert not missing, f"{missing} not in: {self.text}"
        return True


def daybreak(project: Project, *arguments: str) -> Said:
    """Run ``daybreak`` on the project. An exception that is not ours would be a traceback, and fails the test."""
    environment = {name: value for name, value in project.settings.environment.items() if name.isupper()}
    done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Said(done.exit_code, re.sub(r"\s+", " ", done.output))


def synced(project: Project, *tables: str) -> list[dict[str, Any]]:
    """Sync through the command line, expect success, and check each table against the source."""
    said = daybreak(project, "sync", "shop", *tables, "--json")
    assert said.exit_code == 0, said
    for name in tables or [table["name"] for table in project.tables]:
        project.check(name)
    rows: list[dict[str, Any]] = json.loads(said.text)
    return rows
