"""A sync in a process of its own that ends at a boundary of our choice; see ``crashing``."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project

Boundary = tuple[str, str, int]
Run = Callable[[Project, Boundary | None], dict[str, Any]]


class Forker:
    """A warmed-up process that forks once per sync; see ``crashing``."""

    def __init__(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "tests.crash.crashing"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])

    def run(self, project: Project, die_at: Boundary | None) -> dict[str, Any]:
        """Sync; the answer has the exit code and the boundaries that were passed."""
        return self._order(project, die_at=die_at)

    @contextmanager
    def stopped(self, project: Project, stop_at: Boundary) -> Iterator["Zombie"]:
        """Yield a sync that has stopped itself at a boundary. If nobody wakes it, it is killed."""
        zombie = Zombie(self._order(project, stop_at=stop_at)["stopped"], self._answer)
        try:
            yield zombie
        finally:
            if not zombie.has_ended:
                os.kill(zombie.pid, signal.SIGKILL)
                self._answer()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _order(self, project: Project, **what: Boundary | None) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"environment": project.settings.environment, "table": "t", "die_at": None, **what}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@dataclass
class Zombie:
    """A sync in a process that was stopped."""

    pid: int
    answer: Callable[[], dict[str, Any]]
    has_ended: bool = False

    def wake(self) -> int:
        """Let it go on to its end; returns its exit code."""
        os.kill(self.pid, signal.SIGCONT)
        self.has_ended = True
        return int(self.answer()["code"])


@pytest.fixture(scope="module")
def forker() -> Iterator[Forker]:
    forker = Forker()
    yield forker
    forker.close()


@pytest.fixture(scope="module")
def run(forker: Forker) -> Run:
    """Sync in a fork of a warmed-up process; the answer has the exit code and the boundaries that were passed."""
    return forker.run


@pytest.fixture
def table(project: Project) -> Project:
    """Twenty rows that were loaded once."""
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, 'old' from generate_series(1, 20) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    project.commit("t")
    return project
