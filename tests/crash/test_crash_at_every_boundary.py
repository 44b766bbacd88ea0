"""L2: exit at every boundary of a sync, then one normal sync: P0 holds, and no chunk that was landed is read again."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TODAY, Project
from tests.crash.conftest import Boundary, Run
from tests.crash.crashing import DIED

MODES = {
    "incremental": {"key": ["id"], "cursor": "at"},
    "snapshot": {"key": ["id"]},
    "partitioned": {"key": ["id"], "partition": {"column": "at", "start": "2026-01-01"}},
}
# In the default suite a repeated boundary is tried at its second occurrence: the state on disk is of the same kind.
TRIED_OCCURRENCES = 2
SAMPLE = {(name, "after") for name in ("land.file", "land.manifest", "claim", "commit.fence", "commit.transaction", "mirror")}


@pytest.fixture(params=list(MODES))
def changed(request: pytest.FixtureRequest, project: Project, run: Run) -> Project:
    """A table that was loaded once, and whose source has changed by three chunks since."""
    return change(project, run, request.param)


@pytest.fixture(params=[*MODES, "migrated"])
def changing(request: pytest.FixtureRequest, project: Project, run: Run) -> Project:
    """The same, or one that has got a column, too, which old rows lack."""
    if request.param != "migrated":
        return change(project, run, request.param)
    migrated = change(project, run, "incremental")
    migrated.run("alter table t add n int default 5", "update t set n = id where id > 10")
    return migrated


def change(project: Project, run: Run, mode: str) -> Project:
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'old', '{TODAY}'::timestamptz - i * interval '1 h' from generate_series(1, 40) i",
    )
    project.declare("t", mode, **MODES[mode])
    assert run(project, None)["code"] == 0
    moved = f"'{TODAY}'::timestamptz - interval '1 h' + id * interval '1 s'" if mode == "incremental" else "at + interval '10 min'"
    project.run(
        f"update t set name = 'new', at = {moved} where id < 15", f"insert into t values (99, 'n', '{TODAY}'::timestamptz - interval '1 h')"
    )
    if mode != "incremental":
        project.run("delete from t where id in (3, 20)")
    return project


@dataclass(frozen=True)
class Clean:
    """A sync that nothing disturbed: the boundaries that it passed, and how many chunks it read for its first load."""

    boundaries: list[Boundary]
    reads: int


def sync_cleanly(project: Project, run: Run, scratch: Path) -> Clean:
    copy = project.copy_to(scratch / "clean")
    answer = run(copy, None)
    assert answer["code"] == 0
    copy.check("t")
    return Clean([(name, moment, occurrence) for name, moment, occurrence in answer["passed"]], reads(answer))


def reads(answer: dict[str, Any]) -> int:
    """How many chunks a sync read for its first load, landed or not."""
    passed = [(name, moment) for name, moment, _ in answer["passed"]]
    first = passed[: passed.index(("commit", "before"))] if ("commit", "before") in passed else passed
    return first.count(("read.chunk", "after"))


def chunks_read(answer: dict[str, Any]) -> int:
    return sum(1 for name, moment, _ in answer["passed"] if (name, moment) == ("land.manifest", "after"))


LOADS = "select load_id, count(*) from daybreak.ledger group by all"


def crash_and_recover(project: Project, run: Run, scratch: Path, clean: Clean, crash: tuple[Boundary, int]) -> None:
    """Die at a boundary as many times as told, sync once more, and prove the end: P0, one ledger row a load, no more read than must be."""
    boundary, times = crash
    copy = project.copy_to(scratch / "crash")
    first = dict(copy.ask(LOADS))
    deaths, read = 0, 0
    for _ in range(times):
        died = run(copy, boundary)
        read += reads(died)
        if died["code"] != DIED:  # a second try has less to do, and may not come there again
            break
        deaths += 1
    before = dict(copy.ask(LOADS))
    normal = run(copy, None)
    assert normal["code"] == 0, boundary
    copy.check("t")
    if before == first:  # the load was not committed: what was landed of it counts, and a death costs the chunk in hand at most
        assert read + reads(normal) <= clean.reads + deaths, f"chunks were read again after {times} deaths at {boundary}"
    after = dict(copy.ask(LOADS))
    assert set(before) <= set(after)
    assert set(after.values()) == {1}
    check_mirror(copy)
    if times > 1:
        assert ["commit", "after", 1] not in run(copy, None)["passed"], f"after {boundary} a third sync had something to commit"
    shutil.rmtree(copy.home)


def check_mirror(project: Project) -> None:
    from pipelines.state.mirror import Mirror

    status = Mirror(project.settings.state_url).status("shop.t")
    ((load_id, total, version),) = project.ask(
        "select load_id, total_rows, schema_version from daybreak.ledger order by committed_at desc, load_id desc limit 1"
    )
    assert (status.load_id, status.total_rows, status.schema_version) == (load_id, total, version)
    assert [(load_id,)] == project.ask("select load_id from daybreak.watermarks where table_name = 't'")


def test_a_crash_before_or_after_any_step_changes_nothing_in_the_end(changing: Project, run: Run, tmp_path: Path) -> None:
    clean = sync_cleanly(changing, run, tmp_path)
    assert {
        "plan",
        "read.chunk",
        "land.file",
        "land.manifest",
        "gate",
        "claim",
        "load.rows",
        "commit.fence",
        "commit.transaction",
        "mirror",
    } <= {name for name, _, _ in clean.boundaries}
    highest = {(name, moment): min(occurrence, TRIED_OCCURRENCES) for name, moment, occurrence in clean.boundaries}
    # The state before a step is the state after the one before it, and a rolled back transaction is one state: a sample here.
    for (name, moment), occurrence in highest.items():
        if (name, moment) in SAMPLE:
            crash_and_recover(changing, run, tmp_path, clean, ((name, moment, occurrence), 1))


@pytest.mark.long
def test_a_crash_at_every_single_boundary_once_and_twice_changes_nothing_in_the_end(changing: Project, run: Run, tmp_path: Path) -> None:
    clean = sync_cleanly(changing, run, tmp_path)
    for boundary in clean.boundaries:
        for times in (1, 2):
            crash_and_recover(changing, run, tmp_path, clean, (boundary, times))


def test_chunks_that_were_landed_before_a_crash_are_not_read_again(project: Project, run: Run, tmp_path: Path) -> None:
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, 'x' from generate_series(1, 70) i",
    )
    for mode in ("incremental", "snapshot"):
        project.declare("t", mode, **MODES[mode])
        project.home = tmp_path / mode
        for chunk in (1, 3):
            assert run(project, ("land.manifest", "after", chunk))["code"] == DIED
        normal = run(project, None)
        before_commit = normal["passed"][: normal["passed"].index(["commit", "before", 1])]
        assert chunks_read({"passed": before_commit}) == 10 - 1 - 3
        project.check("t")
        assert project.ask("select count(*), sum(rows_read) from daybreak.ledger") == [(1, 70)]


@pytest.mark.parametrize("mode", MODES)
def test_rows_that_change_between_a_crash_and_the_next_sync_arrive_with_it(project: Project, run: Run, mode: str) -> None:
    """The load that is gone on with is as of its own plan, landed chunks and all; what came later is looked at right after it."""
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'x', '{TODAY}'::timestamptz - interval '1 day' + i * interval '1 s' from generate_series(1, 30) i",
    )
    project.declare("t", mode, **MODES[mode])
    assert run(project, ("land.manifest", "after", 2))["code"] == DIED
    later = f"'{TODAY}'::timestamptz - interval '1 hour'"
    project.run(f"update t set name = 'changed', at = {later} where id in (2, 29)", f"insert into t values (0, 'new', {later})")
    assert run(project, None)["code"] == 0
    project.check("t")


def test_every_killed_commit_leaves_the_old_rows_or_the_new(changed: Project, run: Run, tmp_path: Path) -> None:
    old = sorted(changed.warehouse_rows("t"))
    clean = changed.copy_to(tmp_path / "new")
    run(clean, None)
    new = sorted(clean.warehouse_rows("t"))
    for name in ("load.rows", "commit.fence", "commit.transaction"):
        copy = changed.copy_to(tmp_path / "copy")
        run(copy, (name, "after", 1))
        expected = new if name == "commit.transaction" else old
        assert sorted(copy.warehouse_rows("t")) == expected, name
        shutil.rmtree(copy.home)
