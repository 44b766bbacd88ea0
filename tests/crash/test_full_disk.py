"""L7: the disk is full at any page, in the landing or in the warehouse: a clear error, nothing lost, and the next run completes."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.errors import DaybreakError, PrerequisiteError
from pipelines.state.mirror import Mirror
from pipelines.sync.steps import set_hook
from tests.conftest import Project

pytestmark = pytest.mark.slow

PAGE_KB = 4
ROOM = "size=64m"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own; skipped on a laptop where this process may not mount one, which in CI is a failure."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", ROOM, "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        message = f"mounting is not allowed here: {done.stderr.strip()}"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def used_kb(folder: Path) -> int:
    """Return the pages that are in use, as the file system counts them."""
    told = subprocess.run(["df", "--output=used", "-k", str(folder)], capture_output=True, text=True, check=True)
    return int(told.stdout.split()[-1])


def resize(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


@pytest.fixture
def table(project: Project) -> Project:
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, (select string_agg(md5((i * j)::text), '') from generate_series(1, 40) j) from generate_series(1, 40) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    return project


def change(project: Project, n: int) -> None:
    project.run(
        f"update t set name = md5('{n}') || name, at = clock_timestamp() where id <= 21", f"insert into t values ({1000 + n}, 'new')"
    )


def assert_survives(project: Project, folder: Path, step_kb: int, what: str) -> int:
    """Give the disk a little more room each time until a sync fits; returns how often it did not."""
    project.commit("t")
    for failures, extra_kb in enumerate(range(0, 4000, step_kb)):
        change(project, extra_kb)
        loads, rows = project.loads(), sorted(project.warehouse_rows("t"))
        resize(folder, f"size={used_kb(folder) + extra_kb}k")
        error = sync_or_error(project)
        resize(folder, ROOM)
        if error is None:
            project.check("t")
            return failures
        assert isinstance(error, PrerequisiteError), error
        assert what in str(error)
        assert "ree space" in str(error)
        assert project.loads() == loads
        assert sorted(project.warehouse_rows("t")) == rows
        assert_goes_on(project)
    raise AssertionError("it never fitted")


def sync_or_error(project: Project) -> DaybreakError | None:
    try:
        project.sync("t")
    except DaybreakError as error:
        return error
    return None


def assert_goes_on(project: Project) -> None:
    """Sync on a disk with room, from the chunks that are landed."""
    landed = [file for file in project.files("t") if not (file.parent / "committed").exists()]
    times = {file: file.stat().st_mtime_ns for file in landed if file.with_suffix(".json").exists()}
    assert project.sync("t").outcome in ("committed", "unchanged")
    project.check("t")
    assert {file: file.stat().st_mtime_ns for file in times if file.exists()} == times, "landed chunks are kept"


@pytest.mark.parametrize("step_kb", [12 * PAGE_KB, pytest.param(PAGE_KB, marks=pytest.mark.long)])
def test_a_landing_that_is_full_at_any_page_is_told_and_the_next_run_completes(table: Project, tmp_path: Path, step_kb: int) -> None:
    with small_disk(tmp_path / "small") as folder:
        table.environment["DAYBREAK_LANDING_URL"] = str(folder)
        assert assert_survives(table, folder, step_kb, f"landing folder {folder}") >= 2


@pytest.mark.parametrize("step_kb", [64 * PAGE_KB, pytest.param(16 * PAGE_KB, marks=pytest.mark.long)])
def test_a_warehouse_that_is_full_at_any_page_is_told_and_the_next_run_completes(table: Project, tmp_path: Path, step_kb: int) -> None:
    with small_disk(tmp_path / "small") as folder:
        table.environment["DAYBREAK_WAREHOUSE_URL"] = f"duckdb:///{folder}/warehouse.duckdb"
        (table.home).mkdir(exist_ok=True)
        (table.home / "warehouse.duckdb").symlink_to(folder / "warehouse.duckdb")  # where the tests look
        assert assert_survives(table, folder, step_kb, "warehouse") >= 1
        Mirror(table.settings.state_url).engine.dispose()


@pytest.mark.parametrize("step", ["plan", "land.chunk", "land.manifest", "gate", "commit", "clean"])
def test_a_landing_that_becomes_read_only_at_a_step_is_told_and_the_next_run_completes(table: Project, tmp_path: Path, step: str) -> None:
    with small_disk(tmp_path / "small") as folder:
        table.environment["DAYBREAK_LANDING_URL"] = str(folder)
        table.commit("t")
        change(table, 1)
        set_hook(lambda name, moment: resize(folder, "ro") if (name, moment) == (step, "before") else None)
        error = sync_or_error(table)
        set_hook(None)
        # What is written after the commit is a mark that the load is committed, which the ledger knows anyhow.
        assert isinstance(error, PrerequisiteError), error
        assert f"landing folder {folder}" in str(error)
        again = sync_or_error(table)  # a run that meets it so
        assert isinstance(again, PrerequisiteError | None), again
        resize(folder, "rw")
        assert_goes_on(table)
        assert table.sync("t").outcome == "unchanged"


def test_a_load_that_is_held_on_a_full_landing_is_told(table: Project, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as folder:
        table.environment["DAYBREAK_LANDING_URL"] = str(folder)
        table.commit("t")
        hold = {"expect_column_values_to_not_be_null": {"column": "name"}, "on_failure": "hold"}
        table.declare("t", "incremental", key=["id"], cursor="at", expectations=[hold])
        table.run("insert into t values (1000, null)")
        set_hook(lambda name, moment: resize(folder, "ro") if (name, moment) == ("gate", "after") else None)
        assert isinstance(sync_or_error(table), PrerequisiteError)
        set_hook(None)
        resize(folder, "rw")
        assert table.sync("t").outcome == "held"
        table.run("update t set name = 'mended', at = clock_timestamp() where id = 1000")
        table.commit("t")


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)
