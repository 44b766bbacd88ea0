"""kill -9 of whatever works on a morning, at the worst moment: every run ends, the work goes on, and nothing is left writing."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from pipelines.state.attempts import open_attempts
from pipelines.state.mirror import Mirror
from tests.conftest import Project
from tests.crash.proofs import differences
from tests.dagster.conftest import ROOT, Daybreak, open_daybreak
from tests.dagster.services import Services, await_that, ended, open_services

SUCCESS, FAILURE = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE


@pytest.fixture
def new_shop(postgres_server: str, tmp_path: Path) -> Iterator[Daybreak]:
    """A project whose first morning is still to come, and long enough to be killed in: many small chunks."""
    with open_daybreak(postgres_server, tmp_path / "home") as daybreak:
        daybreak.environment["DAYBREAK_CHUNK_ROWS"] = "20"
        yield daybreak


def mirror_of(daybreak: Daybreak) -> Mirror:
    return Mirror(daybreak.settings.state_url)


def reading(daybreak: Daybreak) -> list[Any]:
    """The attempts that are half-way through a table."""
    if not (daybreak.home / "state.db").exists():
        return []
    return [attempt for attempt in open_attempts(mirror_of(daybreak)) if attempt.phase == "read" and attempt.rows_read >= 100]


def proofs_of(daybreak: Daybreak) -> list[str]:
    """What differs between source and warehouse, ledger, mirror and table: all tables, row by row."""
    tables = yaml.safe_load((ROOT / "pipelines/catalog/shop.yaml").read_text())["tables"]
    project = Project(daybreak.url, daybreak.home, {"DAYBREAK_TODAY": str(daybreak.today)}, tables)
    return differences(project)


def victims(services: Services, run_id: str, who: str) -> list[int]:
    match who:
        case "the run's process":
            return [services.worker(run_id) or 0]
        case "the daemon":
            return services.named("dagster._daemon")
        case "the code server":
            return services.named("code-server", "api grpc")
        case "the command":
            return [services.command.pid]
    raise AssertionError(who)


@pytest.mark.slow
@pytest.mark.parametrize("who", ["the run's process", "the daemon", "the code server", "the command", "everything"])
def test_a_morning_whose_processes_are_killed_ends_resumed_with_nothing_lost(new_shop: Daybreak, who: str) -> None:
    with open_services(new_shop) as services:
        run_id = services.launch()
        await_that(lambda: reading(new_shop), "a table half-way")
        if who == "everything":
            services.kill_all()
        else:
            services.kill(*victims(services, run_id, who))
        if who == "the run's process":
            statuses = await_that(lambda: ended(new_shop, run_id), "the end of the run")
    if who != "the run's process":
        with open_services(new_shop):
            statuses = await_that(lambda: ended(new_shop, run_id), "the end of the run")
    print(who, statuses)
    assert statuses[-1] is SUCCESS
    assert not open_attempts(mirror_of(new_shop))
    assert proofs_of(new_shop) == []
