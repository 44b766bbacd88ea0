"""A sync in a process of its own that ends at a boundary of our choice; see ``crashing``."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Project

Boundary = tuple[str, str, int]
Run = Callable[[Project, Boundary | None], dict[str, Any]]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    """Sync in a fork of a warmed-up process; the answer has the exit code and the boundaries that were passed."""
    command = [sys.executable, "-m", "tests.crash.crashing"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdin
        assert process.stdout

        def order(project: Project, die_at: Boundary | None) -> dict[str, Any]:
            order = {"environment": dict(project.settings.environment), "table": "t", "die_at": die_at}
            process.stdin.write(json.dumps(order) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            answer: dict[str, Any] = json.loads(process.stdout.readline())  # type: ignore[union-attr]
            return answer

        yield order
        process.stdin.close()
