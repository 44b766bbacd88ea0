"""What a load that a crash left unfinished may not do: be thrown away for its place in the plan, or pass for newer than it is."""

from dataclasses import replace
from datetime import datetime

import pytest
from ulid import ULID

from pipelines.landing.store import Landing
from pipelines.state.mirror import Mirror
from pipelines.sync import codec
from pipelines.sync.model import Window
from tests.conftest import TODAY, Project
from tests.crash.conftest import Run
from tests.crash.crashing import DIED

pytestmark = pytest.mark.slow

DAYS = {"mode": "partitioned", "key": ["id"], "partition": {"column": "at", "start": "2026-01-01"}}


def landed(answer: dict[str, list[list[object]]]) -> int:
    """How many chunks a sync landed before it looked, after a load that it went on with, for what changed since that was planned."""
    passed = answer["passed"]
    first = passed[: passed.index(["plan", "before", 2])] if ["plan", "before", 2] in passed else passed
    return sum(1 for name, moment, _ in first if (name, moment) == ("land.manifest", "after"))


def commits(answer: dict[str, list[list[object]]]) -> int:
    return sum(1 for name, moment, _ in answer["passed"] if (name, moment) == ("commit", "after"))


@pytest.mark.parametrize("chunk", [8, 10])
def test_chunks_of_the_second_month_that_were_landed_before_a_crash_are_not_read_again(project: Project, run: Run, chunk: int) -> None:
    """Days are loaded a month at a time. What was committed before the crash moves the days that are read again for late rows."""
    project.run(
        "create table t (id int primary key, at timestamptz)",
        f"insert into t select i, '{TODAY}'::timestamptz - i * interval '1 day' from generate_series(1, 65) i",
    )
    project.declare("t", **DAYS)
    chunks = landed(run(replace(project, home=project.home.with_name("clean")), None))
    died = run(project, ("land.manifest", "after", chunk))
    assert died["code"] == DIED
    assert commits(died) >= 1
    finished = run(project, None)
    assert finished["code"] == 0
    # The last days of a committed month are looked at again by design: one chunk.
    assert landed(died) + landed(finished) <= chunks + 1
    project.check("t")


def test_rows_in_no_day_that_were_landed_before_a_crash_are_not_read_again(project: Project, run: Run) -> None:
    project.run(
        "create table t (id int primary key, at timestamptz)",
        f"insert into t values (0, '{TODAY}'::timestamptz - interval '1 day')",
        "insert into t select i, null from generate_series(1, 30) i",
    )
    project.declare("t", **DAYS)
    died = run(project, ("land.manifest", "after", 4))
    assert (died["code"], landed(died), commits(died)) == (DIED, 4, 1)
    finished = run(project, None)
    assert landed(finished) <= (1 + 5) - 4 + 1  # and the one day, which is read again for late rows
    project.check("t")


def test_an_unfinished_load_in_which_nothing_is_new_is_not_taken_for_the_state_of_now(project: Project, run: Run) -> None:
    """Its chunks were landed before the source changed, so what they show is as of then."""
    project.run("create table t (id int primary key, name text)", "insert into t select i, 'old' from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    assert run(project, None)["code"] == 0
    assert run(project, ("land.manifest", "after", 3))["code"] == DIED
    ((changed_at,),) = project.fetch("select clock_timestamp()::text")
    project.run("update t set name = 'new'")
    assert run(project, None)["code"] == 0
    project.check("t")
    as_of = Mirror(project.settings.state_url).status("shop.t").data_as_of
    assert as_of
    assert as_of > datetime.fromisoformat(str(changed_at))


def test_an_unfinished_load_in_which_nothing_is_new_does_not_hide_what_came_after_it(project: Project, run: Run) -> None:
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, 'old' from generate_series(1, 20) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    assert run(project, None)["code"] == 0
    assert run(project, ("land.manifest", "after", 1))["code"] == DIED
    project.run("insert into t values (99, 'new')")
    assert run(project, None)["code"] == 0
    project.check("t")


def test_rows_that_were_being_read_again_do_not_cost_an_unfinished_load_its_chunks(project: Project, run: Run) -> None:
    """A sync dies half-way, somebody replays the quarantine, and that dies too: the sync still goes on where it was."""
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, 'x' from generate_series(1, 40) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    assert run(project, ("land.manifest", "after", 4))["code"] == DIED
    (unfinished,) = (project.home / "landing" / "shop" / "t").iterdir()
    plan = codec.PLAN.validate_json((unfinished / "plan.json").read_bytes())
    with Landing(project.settings.landing.folder).open_load(
        project.spec("t"), replace(plan, load_id=str(ULID()), window=Window(keys=(("1",),)))
    ) as keyed:
        assert keyed.path > unfinished  # so it is found first
    finished = run(project, None)
    before_commit = finished["passed"][: finished["passed"].index(["commit", "before", 1])]
    assert landed({"passed": before_commit}) == 6 - 4
    assert not keyed.path.exists()
    project.check("t")
