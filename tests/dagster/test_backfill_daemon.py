"""Five thousand missing days, the real daemon, and a kill -9 in the middle: one back-fill, one run at a time, nothing read twice."""

import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
import pytest

from pipelines.gaps import list_gaps
from pipelines.runs.morning import prepare_instance
from pipelines.state.backfills import Backfill, unfinished_backfills
from pipelines.sync.steps import set_hook
from pipelines.wiring import open_mirror
from tests.conftest import Project
from tests.dagster.conftest import QUIET, TODAY, Daybreak, open_daybreak
from tests.dagster.services import Services, await_that, descendants, open_services
from tests.dagster.test_partitions import END, EVENTS
from tests.dagster.test_partitions import START as FROM

DAYS = 5000
LONG_SECONDS = 900  # Dagster plans and logs five thousand partitions one by one
START = TODAY - timedelta(days=DAYS)
CATALOG = f"""
source: log
url_env: SHOP_DATABASE_URL
schema: public
tables:
  - {{name: ticks, mode: partitioned, key: [id], partition: {{column: at, by: day, start: {START}}}}}
"""
TURN_ON = """
mutation TurnOn($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) { __typename ... on PythonError { message } } }
"""
SENSOR = {"repositoryLocationName": "daybreak", "repositoryName": "__repository__", "sensorName": "backfill_gaps"}


@pytest.fixture
def years(postgres_server: str, tmp_path: Path) -> Iterator[Daybreak]:
    """A project of one table, of which a first sync loaded the first ten of five thousand days."""
    with open_daybreak(postgres_server, tmp_path / "home") as daybreak:
        daybreak.write(
            "create table ticks (id int primary key, at timestamptz, n int)",
            f"insert into ticks select i, '{START}'::timestamptz + i * interval '12 hours', i from generate_series(0, {2 * DAYS - 1}) i",
        )
        folder = daybreak.home / "catalog"
        folder.mkdir(parents=True)
        (folder / "log.yaml").write_text(CATALOG)
        daybreak.environment |= {"DAYBREAK_CATALOG": str(folder), "DAYBREAK_MAX_WINDOWS_PER_RUN": "10"}
        assert daybreak.daybreak("sync", "log").returncode == 0
        yield daybreak


def going_on(daybreak: Daybreak) -> Backfill | None:
    found = unfinished_backfills(open_mirror(daybreak.settings.state_url), "log.ticks")
    return found[0] if found else None


def missing(daybreak: Daybreak) -> int:
    """How many days no load committed."""
    return sum(len(gap.days) for gap in list_gaps(daybreak.settings, open_mirror(daybreak.settings.state_url)))


def turn_on(services: Services) -> None:
    answer = services.ask(TURN_ON, {"sensor": SENSOR})
    assert answer["data"]["startSensor"]["__typename"] == "Sensor", answer


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_five_thousand_days_are_loaded_by_one_back_fill_that_survives_a_kill(years: Daybreak) -> None:
    assert missing(years) == DAYS - 10
    with open_services(years) as services:
        turn_on(services)
        at = await_that(lambda: (found := going_on(years)) and found.done_days > 500 and found, "a back-fill half-way")
        worker = services.worker(at.run_id or "") or 0
        services.kill(worker, *descendants(worker))
        await_that(lambda: missing(years) == 0 and going_on(years) is None, "no gaps", LONG_SECONDS)
        ended = "COMPLETED"
        await_that(lambda: all(one.status.value.startswith(ended) for one in years.instance.get_backfills()), "its end", LONG_SECONDS)
    runs = years.instance.get_runs()
    assert {run.tags.get("dagster/backfill") for run in runs} == {backfill.backfill_id for backfill in years.instance.get_backfills()}
    assert len(runs) <= 3, runs  # the one that was killed, the one that went on, and at most one that another tick asked for
    project = Project(years.url, years.home, {"DAYBREAK_TODAY": str(TODAY), "DAYBREAK_CATALOG": str(years.home / "catalog")})
    assert project.ask("select count(*), sum(n) from raw_log.ticks") == [(2 * DAYS, DAYS * (2 * DAYS - 1))]
    read = project.ask("select sum(rows_read) from daybreak.ledger where table_name = 'ticks'")[0][0]
    assert read == 2 * DAYS
    committed = project.ask("select min(day), max(day), count(*) from daybreak.windows where day is not null")
    assert committed == [(START, date.fromordinal(TODAY.toordinal() - 1), DAYS)]


@pytest.mark.long
def test_the_live_sync_goes_on_while_dagster_back_fills(daybreak: Daybreak, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs may read a source at once, so a morning does not wait for the slot that a back-fill has."""
    monkeypatch.setenv("DAGSTER_HOME", "")
    with daybreak.inside():
        folder = prepare_instance(daybreak.settings)
    daybreak.write("update events set country = 'XX' where occurred_at::date = '2026-03-05'")
    reading, go_on = threading.Event(), threading.Event()

    def hook(name: str, moment: str) -> None:
        if (name, moment) == ("read.chunk", "before"):
            reading.set()
            go_on.wait(120)

    set_hook(hook)

    def back_fill() -> None:
        with daybreak.inside(), dg.DagsterInstance.from_config(str(folder)) as instance:
            job = daybreak.definitions().resolve_job_def("sync_tables")
            tags = {FROM: "2026-03-05", END: "2026-03-06"}
            job.execute_in_process(asset_selection=[EVENTS], instance=instance, raise_on_error=False, run_config=QUIET, tags=tags)

    thread = threading.Thread(target=back_fill, daemon=True)
    thread.start()
    try:
        assert reading.wait(60)
        environment = {**daybreak.variables(), "DAGSTER_HOME": str(folder)}
        run = subprocess.Popen(daybreak.command("run"), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        waiting: list[str] = []
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            for _ in range(110):
                time.sleep(1)
                if run.poll() is not None:
                    break
                info = instance.event_log_storage.get_concurrency_info("source_shop")
                waiting = [str((step.run_id, step.step_key)) for step in info.pending_steps if step.assigned_timestamp is None]
                if waiting:
                    time.sleep(15)
                    break
        if run.poll() is None:
            run.kill()
        out, _ = run.communicate()
        assert not waiting, f"the live sync waits for the pool's slot that the back-fill has: {waiting}"
        assert run.returncode == 0, out
    finally:
        set_hook(None)
        go_on.set()
        thread.join(60)
