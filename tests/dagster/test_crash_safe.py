"""kill -9 of whatever works on a morning, at the worst moment: every run ends, the work goes on, and nothing is left writing."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from pipelines.state.attempts import open_attempts
from pipelines.state.mirror import Mirror
from tests.conftest import Project
from tests.crash.proofs import LandedChunks, differences
from tests.dagster.conftest import ROOT, Daybreak, open_daybreak
from tests.dagster.services import Services, await_that, command_line, descendants, ended, open_services

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


def project_of(daybreak: Daybreak) -> Project:
    """The same project, as the proofs know it: all tables, compared row by row."""
    tables = yaml.safe_load((ROOT / "pipelines/catalog/shop.yaml").read_text())["tables"]
    as_text = json.loads(json.dumps(tables, default=str))  # days are text, as in a catalog file
    return Project(daybreak.url, daybreak.home, {"DAYBREAK_TODAY": str(daybreak.today)}, as_text)


def told_of(daybreak: Daybreak, run_id: str) -> str:
    """Why a run failed, as the UI and an alert tell it."""
    records = daybreak.instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    return str(records[-1].event_log_entry.get_dagster_event().message)


def victims(services: Services, who: str) -> list[int]:
    match who:
        case "the daemon":
            return services.named("dagster._daemon")
        case "the code server":
            return services.named("code-server", "api grpc")
        case "the command":
            return [services.command.pid]
    raise AssertionError(who)


def is_gone(process: int) -> bool:
    return command_line(process) == ""


@pytest.mark.long
def test_a_morning_whose_process_is_killed_is_run_again_from_where_it_was(new_shop: Daybreak) -> None:
    """O3: seen dead, resumed, finished work not repeated, no orphan left writing, and the failure names the resume point."""
    chunks = LandedChunks(project_of(new_shop))
    with open_services(new_shop) as services:
        run_id = services.launch()
        attempt, *_ = await_that(lambda: reading(new_shop), "a table half-way")
        worker = services.worker(run_id) or 0
        of_it = [worker, *descendants(worker)]
        services.kill(worker)
        await_that(lambda: all(map(is_gone, of_it)), "the end of what the run had started", 20)
        chunks.note_death(Counter())
        assert await_that(lambda: ended(new_shop, run_id), "the end of the run") == [FAILURE, SUCCESS]
    told = told_of(new_shop, run_id)
    assert "was killed" in told
    assert f"The next run goes on with {attempt.table_id}" in told
    assert chunks.compare(Counter()) == []
    assert chunks.resumed > 0
    assert not open_attempts(mirror_of(new_shop))
    assert differences(project_of(new_shop)) == []


@pytest.mark.long
def test_a_morning_that_is_red_for_its_data_is_not_run_again(new_shop: Daybreak) -> None:
    new_shop.write("update products set unit_price = -1 - unit_price where product_id = 1")
    with open_services(new_shop) as services:
        run_id = services.launch()
        assert await_that(lambda: ended(new_shop, run_id), "the end of the run") == [FAILURE]
        time.sleep(5)  # the daemon looks for runs to retry every second
        assert ended(new_shop, run_id) == [FAILURE]
    assert "was killed" not in told_of(new_shop, run_id)


@pytest.mark.long
@pytest.mark.parametrize("who", ["the daemon", "the code server", "the command", "everything"])
def test_a_morning_whose_processes_are_killed_ends_resumed_with_nothing_lost(new_shop: Daybreak, who: str) -> None:
    with open_services(new_shop) as services:
        run_id = services.launch()
        await_that(lambda: reading(new_shop), "a table half-way")
        if who == "everything":
            services.kill_all()
        else:
            services.kill(*victims(services, who))
    with open_services(new_shop):
        statuses = await_that(lambda: ended(new_shop, run_id), "the end of the run")
    assert statuses[-1] is SUCCESS, statuses
    assert not open_attempts(mirror_of(new_shop))
    assert differences(project_of(new_shop)) == []
