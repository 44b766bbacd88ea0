"""A sync dies on one machine and is gone on with on another, whose landing folder is empty: nothing is lost, one chunk is read twice."""

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines.landing.bucket import Bucket
from pipelines.sync.steps import set_hook
from tests.conftest import TODAY, Project
from tests.crash.conftest import Boundary, Forker, Run
from tests.crash.crashing import DIED
from tests.s3.conftest import another_machine, names
from tests.s3.test_sync import MODES, make_table

pytestmark = pytest.mark.slow

LANDING_STEPS = ("land.chunk", "land.file", "land.upload", "land.manifest", "clean")


def reads(answer: dict[str, Any]) -> int:
    """How many chunks a sync read for its first load."""
    passed = [(name, moment) for name, moment, _ in answer["passed"]]
    first = passed[: passed.index(("commit", "before"))] if ("commit", "before") in passed else passed
    return first.count(("read.chunk", "after"))


def crash_there_and_recover_here(project: Project, run: Run, boundary: Boundary, clean_reads: int) -> None:
    """Die at a boundary, go on elsewhere, and prove the end."""
    died = run(project, boundary)
    assert died["code"] == DIED, boundary
    other = another_machine(project)
    again = run(other, None)
    assert again["code"] == 0, boundary
    project.check("t")
    if boundary[0] != "clean":
        assert reads(died) + reads(again) <= clean_reads + 1, f"chunks were read again after {boundary}"
        assert set(project.ask("select count(*) from daybreak.ledger group by load_id")) == {(1,)}
    assert other.files("t") == []


@pytest.fixture
def fresh(landed: Project, bucket: Bucket) -> Project:
    """A table of three chunks."""
    make_table(landed, "snapshot")
    return landed


def count_reads(project: Project, run: Run, tmp_path: Path) -> int:
    """How many chunks a sync reads that nothing disturbs."""
    answer = run(Project(project.url, tmp_path / "clean", {}, project.tables), None)
    assert answer["code"] == 0
    return reads(answer)


def test_a_load_that_died_on_one_machine_is_gone_on_with_on_another(fresh: Project, run: Run, tmp_path: Path) -> None:
    crash_there_and_recover_here(fresh, run, ("land.upload", "after", 2), count_reads(fresh, run, tmp_path))


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("boundary", [(step, moment) for step in LANDING_STEPS for moment in ("before", "after")], ids="-".join)
def test_a_crash_at_every_step_of_landing_costs_another_machine_one_chunk(
    landed: Project, run: Run, tmp_path: Path, mode: str, boundary: tuple[str, str]
) -> None:
    make_table(landed, mode)
    clean_reads = count_reads(landed, run, tmp_path)
    crash_there_and_recover_here(landed, run, (*boundary, 1 if boundary[0] == "clean" else 2), clean_reads)


def test_the_machine_that_died_goes_on_at_once_with_what_it_has(fresh: Project, run: Run, s3: Any) -> None:
    """No file comes back from the bucket, and nobody waits for a lease."""
    assert run(fresh, ("land.manifest", "after", 2))["code"] == DIED
    s3.fail()
    again = run(fresh, None)
    assert again["code"] == 0
    assert reads(again) == 1
    assert not [request for request in s3.log() if request.startswith("GET") and ".parquet" in request]
    fresh.check("t")


def test_a_machine_that_comes_back_from_the_dead_commits_nothing(fresh: Project, forker: Forker, run: Run) -> None:
    """It was silent for so long that another one went on with its load and ended it."""
    with forker.stopped(fresh, ("land.manifest", "after", 2)) as zombie:
        other = another_machine(fresh)
        other.sync("t")
        fresh.check("t")
        assert zombie.wake() == 0
    fresh.check("t")
    assert fresh.ask("select count(*), count(distinct load_id) from daybreak.ledger") == [(1, 1)]


def test_two_machines_at_one_table_commit_once(fresh: Project, bucket: Bucket) -> None:
    """Each reads all of it: a load that somebody is at work on is left alone."""
    other = another_machine(fresh)
    outcomes: list[str] = []

    def overtake(step: str, moment: str) -> None:
        if (step, moment) == ("gate", "before") and not outcomes:
            outcomes.append("…")
            outcomes.append(other.sync("t").outcome)

    set_hook(overtake)
    try:
        outcomes.append(fresh.sync("t").outcome)
    finally:
        set_hook(None)
    assert outcomes == ["…", "committed", "unchanged"]
    fresh.check("t")
    assert fresh.loads() == 1
    assert len({name.split("/")[3] for name in names(bucket)}) == 1, "the load that was overtaken is gone"


def test_a_home_that_is_thrown_away_costs_nothing(fresh: Project, run: Run) -> None:
    assert run(fresh, ("gate", "before", 1))["code"] == DIED
    shutil.rmtree(fresh.home / "landing")
    again = run(fresh, None)
    assert (again["code"], reads(again)) == (0, 0)
    fresh.run(f"update t set at = '{TODAY}'::timestamptz - interval '5 min' where id = 3")
    fresh.commit("t")


@pytest.mark.long
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["land.file", "land.upload", "land.manifest", "gate", "claim", "commit", "mirror", "clean"])
def test_a_machine_that_was_suspended_at_any_step_doubles_nothing(fresh: Project, forker: Forker, step: str, moment: str) -> None:
    """Another one takes its load over, or finds it done; then it wakes, and a third one looks."""
    with forker.stopped(fresh, (step, moment, 2 if step.startswith("land.") else 1)) as zombie:
        another_machine(fresh).sync("t")
        fresh.check("t")
        assert zombie.wake() == 0
    fresh.check("t")
    assert set(fresh.ask("select count(*) from daybreak.ledger group by load_id")) == {(1,)}
    third = another_machine(fresh, "c")
    assert third.sync("t").outcome == "unchanged"
    fresh.check("t")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", MODES)
def test_deaths_at_random_on_three_machines_lose_and_double_nothing(landed: Project, run: Run, mode: str, seed: int) -> None:
    chance = random.Random(f"{mode} {seed}")
    make_table(landed, mode, 40)
    machines = [landed, another_machine(landed, "b"), another_machine(landed, "c")]
    steps = ["plan", "read.chunk", *LANDING_STEPS, "gate", "claim", "load.rows", "commit.fence", "commit.transaction", "mirror"]
    for number in range(12):
        boundary = (chance.choice(steps), chance.choice(["before", "after"]), chance.randint(1, 4))
        assert run(chance.choice(machines), boundary)["code"] in (DIED, 0)
        moved = f"'{TODAY}'::timestamptz - interval '1 h' + {number} * interval '1 s'"
        landed.run(f"update t set name = 'v{number}', at = {moved} where id % 9 = {number % 9}")
    for _ in range(2):
        assert run(chance.choice(machines), None)["code"] == 0
    landed.check("t")
    assert set(landed.ask("select count(*) from daybreak.ledger group by load_id")) == {(1,)}
    balance = "rows_inserted + rows_updated + rows_unchanged + rows_superseded + rows_quarantined"
    assert not landed.ask(f"select 1 from daybreak.ledger where rows_read <> {balance}")
