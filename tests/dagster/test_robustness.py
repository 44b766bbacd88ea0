"""Processes that are killed, locks that others hold, files that cannot be written: the next run is right, and nobody is misled."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
from dagster._grpc.types import ExecuteRunArgs

from pipelines.runs.deaths import LIFE_TAG, end_dead_runs, is_alive, living
from pipelines.runs.launcher import make_command
from pipelines.runs.morning import morning_job
from tests.dagster.conftest import ROOT, Daybreak

HOLD = "import duckdb, sys, time\nwith duckdb.connect(sys.argv[1]):\n    print('held', flush=True)\n    time.sleep(float(sys.argv[2]))"


LIVE = """
import pathlib, sys, time
from pipelines.runs.deaths import living

with living(pathlib.Path(sys.argv[1])) as name:
    print(name, flush=True)
    time.sleep(60)
"""


def hold(daybreak: Daybreak, seconds: float) -> "subprocess.Popen[str]":
    """A foreign program that has the warehouse open."""
    file = str(daybreak.home / "warehouse.duckdb")
    process = subprocess.Popen([sys.executable, "-c", HOLD, file, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def test_a_name_lives_as_long_as_its_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", LIVE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        name = process.stdout.readline().strip()
        assert is_alive(tmp_path, name)
        process.kill()
    assert not is_alive(tmp_path, name)


def test_a_run_is_started_by_this_python_wherever_dagster_is_on_the_path() -> None:
    """`make ui` does not activate .venv, so `dagster` was not found there, and no run that the UI started ever began."""
    work = ExecuteRunArgs(dg.reconstructable(morning_job).get_python_origin(), "a run", None)
    command = make_command(work)
    assert command[:4] == [sys.executable, "-m", "dagster", "api"]
    shown = subprocess.run([*command[:5], "--help"], env={"PATH": ""}, capture_output=True, text=True, check=False, cwd=ROOT)
    assert "execute_run" in shown.stdout, shown.stderr


def test_dead_runs_are_ended_and_living_ones_are_not(tmp_path: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance, living(tmp_path / "lives") as life:
        job = dg.job(name="nothing")(lambda: None)
        started = {}
        for name in (life, "01DEAD"):
            run = instance.create_run_for_job(job, tags={LIFE_TAG: name}, status=dg.DagsterRunStatus.STARTED)
            started[name] = run.run_id
        assert end_dead_runs(instance, tmp_path / "lives") == [started["01DEAD"]]
        dead = instance.get_run_by_id(started["01DEAD"])
        assert dead is not None
        assert dead.status == dg.DagsterRunStatus.FAILURE


@pytest.mark.slow
def test_a_run_waits_for_a_foreign_program_that_has_the_warehouse_open(daybreak: Daybreak) -> None:
    with hold(daybreak, 3):
        morning = daybreak.run()
    assert morning.is_green, morning.report["problems"]


@pytest.mark.slow
def test_when_the_patience_ends_the_run_names_the_holder_and_publishes_nothing(daybreak: Daybreak) -> None:
    stamps = daybreak.stamps()
    with hold(daybreak, 300) as holder:
        daybreak.environment["DAYBREAK_LOCK_WAIT_SECONDS"] = "1"
        started = time.monotonic()
        morning = daybreak.run()
        seconds = time.monotonic() - started
        holder.kill()
    del daybreak.environment["DAYBREAK_LOCK_WAIT_SECONDS"]
    assert not morning.is_green
    assert seconds < 30
    assert set(morning.outcomes().values()) == {"held"}
    assert any(str(holder.pid) in problem for problem in morning.report["problems"])
    assert daybreak.stamps()["warehouse.read.duckdb"] == stamps["warehouse.read.duckdb"]
    assert daybreak.run().is_green


@pytest.mark.slow
def test_a_read_copy_that_cannot_be_written_keeps_the_dashboard_and_is_written_next_time(daybreak: Daybreak) -> None:
    (daybreak.home / "warehouse.read.duckdb.copying").mkdir()  # so that the copy's temporary file cannot be made
    daybreak.touch("customers", 3, "full_name = full_name || '.'")
    morning = daybreak.run()
    (daybreak.home / "warehouse.read.duckdb.copying").rmdir()
    assert not morning.is_green
    ended = morning.deliveries()
    ended.pop("dashboards/completeness")  # published, or unchanged within the minute that it tells
    assert ended == {"dashboards/morning": "kept", "warehouse/read_copy": "kept"}
    assert "the read copy could not be written" in daybreak.dashboard()
    again = daybreak.run()
    assert again.is_green, again.report["problems"]
    names = daybreak.ask("select full_name from marts.customers where customer_id = 3", copy=True)
    assert names == daybreak.ask("select full_name from marts.customers where customer_id = 3")


@pytest.mark.slow
def test_a_dbt_that_is_killed_fails_its_models_and_the_next_run_builds_them(daybreak: Daybreak) -> None:
    daybreak.touch("orders", 1, "shipping_fee = shipping_fee + 1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipelines.assets.dbt_process.dbt_executable", lambda: str(fake_dbt(daybreak.home)))
        morning = daybreak.run()
    assert not morning.is_green
    assert any("signal 9" in problem for problem in morning.report["problems"])
    assert "orders: dbt was ended by signal 9" in daybreak.dashboard()
    again = daybreak.run()
    assert again.is_green, again.report["problems"]
    fee = daybreak.source("select shipping_fee from orders where order_id = 1")
    assert daybreak.ask("select shipping_fee from marts.orders where order_id = 1", copy=True) == fee


def fake_dbt(folder: Path) -> Path:
    file = folder / "dbt-that-dies"
    file.write_text("#!/bin/sh\nkill -9 $$\n")
    file.chmod(0o755)
    return file


@pytest.mark.slow
def test_when_the_warehouse_is_deleted_everything_is_loaded_and_built_again(daybreak: Daybreak) -> None:
    for name in ("warehouse.duckdb", "warehouse.read.duckdb"):
        (daybreak.home / name).unlink()
    morning = daybreak.run()
    assert morning.is_green, morning.report["problems"]
    assert set(morning.outcomes().values()) == {"committed"}
    assert daybreak.has("marts.daily_funnel", copy=True)


@pytest.mark.slow
def test_without_a_read_copy_the_dashboard_is_drawn_from_the_warehouse(daybreak: Daybreak) -> None:
    daybreak.environment["DAYBREAK_READ_COPY"] = "off"
    (daybreak.home / "warehouse.read.duckdb").unlink()
    (daybreak.home / "dashboards" / "morning.html").unlink()
    morning = daybreak.run()
    del daybreak.environment["DAYBREAK_READ_COPY"]
    assert morning.is_green
    assert "vegaEmbed" in daybreak.dashboard()
    assert not (daybreak.home / "warehouse.read.duckdb").exists()


@pytest.fixture
def killed(daybreak: Daybreak) -> Daybreak:
    """A project whose `daybreak run` was killed, kill -9, while dbt was at work."""
    daybreak.advance(days=1)
    nothing = subprocess.DEVNULL
    process = subprocess.Popen(daybreak.command("run"), env=daybreak.variables(), cwd=ROOT, stdout=nothing, stderr=nothing)
    deadline = time.monotonic() + 120
    while "dbt build" not in waiting(daybreak) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    time.sleep(1)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return daybreak


def waiting(daybreak: Daybreak) -> str:
    """What the queue at the warehouse says its holders do."""
    told = ""
    for ticket in (daybreak.home / "warehouse.duckdb.lock.queue").glob("*"):
        try:
            told += ticket.read_text()
        except FileNotFoundError:
            continue
    return told.replace("build the models", "dbt build")


@pytest.mark.slow
def test_after_kill_9_of_daybreak_run_the_next_run_ends_green(killed: Daybreak) -> None:
    done = killed.daybreak("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert killed.ask("select count(*) from raw_shop.orders")[0] == killed.source("select count(*) from orders")[0]
    assert killed.ask("select count(*) from raw_shop.events")[0] == killed.source("select count(*) from events")[0]
    assert killed.ask("select count(*) from marts.orders", copy=True) == killed.ask("select count(*) from raw_shop.orders")
    with dg.DagsterInstance.local_temp(str(killed.home / "dagster")) as instance:
        statuses = [record.dagster_run.status for record in instance.get_run_records()]
    assert statuses.count(dg.DagsterRunStatus.STARTED) == 0
