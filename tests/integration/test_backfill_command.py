"""Back-fills and gaps as a person meets them: the commands, what they tell, and signals to the process."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.sync import backfill, throttle
from pipelines.sync.steps import set_hook
from tests.conftest import TODAY, Project
from tests.integration.backfilling import DAYS, END, FIRST, Killed, at_commit, declare, die, fill, gaps, left
from tests.integration.command_line import daybreak

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def two_days_a_window(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(backfill, "DAYS_PER_WINDOW", 2)
    monkeypatch.setattr(throttle, "FIRST_SHARE", 1.0)  # which would be found out in some seconds: nobody else is at this source
    monkeypatch.setattr(throttle, "SHARE_AT_WORK", 1.0)
    yield
    set_hook(None)


@pytest.fixture
def table(project: Project) -> Project:
    """Ten days of three rows each, all loaded, of which every row changed since: only a back-fill finds the older ones."""
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'name ' || i, '{TODAY}'::timestamptz - i * interval '8 h' + interval '1 h' from generate_series(1, 30) i",
    )
    declare(project)
    project.commit("t")
    project.run("update t set name = name || '!'")
    return project


def test_gaps_name_the_back_fill_that_fills_them(table: Project) -> None:
    fill(table)
    assert daybreak(table, "gaps").tells("Nothing is missing.")
    table.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"] = "4"
    table.run(f"insert into t select 100 + i, 'new', '{FIRST}'::timestamptz - i * interval '1 day' from generate_series(1, 9) i")
    table.sync("t")
    said = daybreak(table, "gaps", "shop", "t")
    last = FIRST - timedelta(days=1)
    command = ["backfill", "shop", "t", str(last - timedelta(days=4)), str(last)]
    assert said.exit_code == 3
    assert said.tells("5 days were never loaded", f"daybreak {' '.join(command)}")
    said = daybreak(table, *command)
    assert said.exit_code == 0
    assert said.tells("0 of 5 days", "5 of 5 days", "committed")
    del table.environment["DAYBREAK_MAX_WINDOWS_PER_RUN"]
    table.sync("t")
    table.check("t")
    assert daybreak(table, "gaps").exit_code == 0


def test_status_shows_a_back_fill_that_failed(table: Project) -> None:
    at_commit(3, die)
    with pytest.raises(Killed):
        fill(table)
    set_hook(None)
    assert daybreak(table, "status").tells("shop.t: back-fill of", "4 of 10 days", "failed")
    assert daybreak(table, "gaps").tells("6 days were left by a back-fill that did not end")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("shop", "t", "2026-03-05", "2026-03-01"), "is before the first"),
        (("shop", "t", "yesterday", "2026-03-01"), "yesterday"),
        (("shop", "u", "2026-03-01", "2026-03-02"), "so it has no days that could be loaded again"),
        (("shop", "nothing", "2026-03-01", "2026-03-02"), "has no table `nothing`"),
        (("nowhere", "t", "2026-03-01", "2026-03-02"), "has no source `nowhere`"),
    ],
)
def test_what_makes_no_back_fill_is_told(table: Project, arguments: tuple[str, ...], told: str) -> None:
    table.declare("u", "snapshot")
    said = daybreak(table, "backfill", *arguments)
    assert said.exit_code == 2
    assert said.tells(told)


@pytest.mark.parametrize("hours", ["20:00", "25:00-05:00", "05:00-05:00", "evening-morning", "20:00Z-05:00"])
def test_hours_that_are_none_are_told(table: Project, hours: str) -> None:
    table.environment["DAYBREAK_BACKFILL_HOURS"] = hours
    with pytest.raises(ConfigError, match="DAYBREAK_BACKFILL_HOURS"):
        _ = table.settings


def test_the_remedy_of_a_gap_can_be_pasted(project: Project) -> None:
    project.run('create table "my t" (id int primary key, at timestamptz)', f"insert into \"my t\" values (1, '{FIRST}')")
    project.declare("my t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"})
    (gap,) = gaps(project)
    assert shlex.split(gap.remedy)[2:] == ["shop", "my t"]


@contextmanager
def slow_backfill(table: Project, folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """A `daybreak backfill` in a process of its own, which takes a second for each chunk; it is killed if it does not end."""
    script = folder / "slow.py"
    script.write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell's background ignores\n"
        "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "from pipelines.sync import backfill\n"
        "from pipelines.sync.steps import set_hook\n"
        "def hook(name, moment):\n"
        "    if (name, moment) == ('read.chunk', 'before'):\n"
        "        print('reading', flush=True); time.sleep(1.0)\n"
        "set_hook(hook)\n"
        "backfill.DAYS_PER_WINDOW = 1\n"
        "from pipelines.cli.main import app\n"
        f"app(['backfill', 'shop', 't', '{FIRST}', '{END - timedelta(days=1)}'])\n"
    )
    environment = {**os.environ, **{name: value for name, value in table.settings.environment.items() if name.isupper()}}
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_back_fill_that_is_ended_by_a_signal_ends_and_is_gone_on_with(table: Project, tmp_path: Path, number: int) -> None:
    with slow_backfill(table, tmp_path) as process:
        assert process.stdout is not None
        assert any("reading" in line for line in process.stdout)
        process.send_signal(number)
        process.communicate(timeout=120)
    (one,) = left(table)
    assert not one.is_at_work
    assert one.done_days < DAYS - 1
    assert "died" in str(one) or one.state == "paused"
    assert [gap.kind for gap in gaps(table)] == ["unfinished"]
    fill(table)
    assert left(table) == []
    table.check("t")
