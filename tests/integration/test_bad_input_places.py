"""Places that are locked, full, read-only or damaged: what is told, and that the next run needs nothing but the place."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipelines.sync.steps import set_hook
from tests.conftest import Project
from tests.integration.command_line import daybreak, synced

pytestmark = pytest.mark.slow

HOLD_QUEUE = (
    "import sys, time; from pathlib import Path; from pipelines.state.lock import hold_lock\n"
    "with hold_lock(Path(sys.argv[1] + '.lock'), 'a long build', 5):\n    print('held', flush=True); time.sleep(60)"
)
HOLD_FILE = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"


@pytest.fixture
def table(project: Project) -> Project:
    project.run("create table t (id int primary key, name text)", "insert into t select i, 'n' || i from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    project.environment["DAYBREAK_LOCK_WAIT_SECONDS"] = "1"
    return project


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)


@contextmanager
def holding(code: str, file: Path) -> Iterator[int]:
    """Another process that does ``code`` with the file; yields its number."""
    with subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            holder.stdout.readline()
            yield holder.pid
        finally:
            holder.kill()


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A file system of its own; skipped where this process may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # Lazily: the mirror's connections are pooled.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.mark.parametrize(
    ("code", "what"), [(HOLD_QUEUE, "-c (pid {pid} on"), (HOLD_FILE, "(PID {pid})")], ids=["in the queue", "in no queue"]
)
def test_a_warehouse_that_another_process_uses_is_told_with_its_holder(table: Project, code: str, what: str) -> None:
    synced(table)
    table.run("insert into t values (21, 'new')")
    with holding(code, table.home / "warehouse.duckdb") as pid:
        said = daybreak(table, "sync", "shop")
        assert said.exit_code == 3
        assert said.tells("held", "warehouse", what.format(pid=pid), "Nothing was written")
    assert [row["inserted"] for row in synced(table)] == [1]


@pytest.mark.parametrize("damage", ["garbage", "truncated", "too short"])
def test_a_damaged_warehouse_is_told_and_left_as_it_is(table: Project, damage: str) -> None:
    synced(table)
    file = table.home / "warehouse.duckdb"
    good = file.read_bytes()
    bad = {"garbage": b"no database at all " * 1000, "truncated": good[: len(good) // 3], "too short": b"not"}[damage]
    file.write_bytes(bad)
    said = daybreak(table, "sync", "shop")
    assert said.exit_code == 2
    assert said.tells("held", "warehouse.duckdb cannot be read or written", "Nothing was committed", "restore the file")
    assert file.read_bytes() == bad
    file.write_bytes(good)
    table.run("insert into t values (21, 'new')")
    assert [row["inserted"] for row in synced(table)] == [1]


def test_a_landing_without_space_is_told_and_what_was_read_is_kept(table: Project, tmp_path: Path) -> None:
    table.run(
        "insert into t select i, (select string_agg(md5((i * j)::text), '') from generate_series(1, 500) j) from generate_series(21, 90) i"
    )
    with mounted(tmp_path / "small", "size=600k") as folder:
        table.environment["DAYBREAK_LANDING_URL"] = str(folder)
        said = daybreak(table, "sync", "shop")
        assert said.exit_code == 2
        assert said.tells(
            "held", f"landing folder {folder}", "No space left on device", "finished chunks are kept", "Free space", "DAYBREAK_LANDING_URL"
        )
        landed = sorted(path.name for path in folder.rglob("chunk-*.parquet"))
        assert landed
        remount(folder, "size=8m")
        assert [row["inserted"] for row in synced(table)] == [90]
        assert sorted(path.name for path in folder.rglob("chunk-*.parquet"))[: len(landed)] == landed


def test_a_landing_that_is_read_only_is_told(table: Project, tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "size=1m") as folder:
        remount(folder, "ro")
        table.environment["DAYBREAK_LANDING_URL"] = str(folder)
        said = daybreak(table, "sync", "shop")
        assert said.exit_code == 2
        assert said.tells("held", f"landing folder {folder}", "Read-only file system", "mend its permissions (DAYBREAK_LANDING_URL)")
        remount(folder, "rw")
        assert [row["inserted"] for row in synced(table)] == [20]


def test_a_landing_that_becomes_read_only_after_it_was_filled_keeps_the_old_load(table: Project, tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "size=2m") as folder:
        table.environment["DAYBREAK_LANDING_URL"] = str(folder)
        synced(table)
        table.run("insert into t values (21, 'new')")
        remount(folder, "ro")
        said = daybreak(table, "sync", "shop")
        assert (said.exit_code, said.tells("Read-only file system")) == (2, True)
        assert table.ask("select count(*) from raw_shop.t") == [(20,)]
        remount(folder, "rw")
        assert [row["inserted"] for row in synced(table)] == [1]


def test_a_landing_that_is_a_file_is_told(table: Project, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    table.environment["DAYBREAK_LANDING_URL"] = str(tmp_path / "file")
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells("landing folder", "Not a directory")) == (2, True)
    assert (tmp_path / "file").read_text() == "mine"


def test_a_home_that_is_read_only_is_told_without_a_traceback(table: Project, tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "size=4m") as folder:
        table.home = folder / "home"
        table.environment["DAYBREAK_CATALOG"] = str(tmp_path / "catalog")
        table.settings.catalog_folder.mkdir()
        (tmp_path / "catalog" / "shop.yaml").write_text((folder / "home" / "catalog" / "shop.yaml").read_text())
        remount(folder, "ro")
        said = daybreak(table, "sync", "shop")
        assert (said.exit_code, said.tells("Read-only file system", "Nothing was lost", "DAYBREAK_HOME")) == (2, True)
        remount(folder, "rw")
        assert [row["inserted"] for row in synced(table)] == [20]


def test_a_warehouse_folder_that_is_read_only_is_told(table: Project, tmp_path: Path) -> None:
    with mounted(tmp_path / "fixed", "size=1m") as folder:
        remount(folder, "ro")
        table.environment["DAYBREAK_WAREHOUSE_URL"] = f"duckdb:///{folder}/warehouse.duckdb"
        said = daybreak(table, "sync", "shop")
        assert (said.exit_code, said.tells("folder of the warehouse", "Read-only file system", "DAYBREAK_WAREHOUSE_URL")) == (2, True)
    del table.environment["DAYBREAK_WAREHOUSE_URL"]
    assert [row["inserted"] for row in synced(table)] == [20]


@pytest.mark.parametrize("half", ["", '{"number": 1, "pa', "null", "[]"])
def test_a_manifest_that_was_half_written_is_read_anew(table: Project, half: str) -> None:
    """Records are renamed into place when they are whole; a disk that lies about that is still survived."""

    def stop(step: str, moment: str) -> None:
        if (step, moment) == ("gate", "before"):
            raise KeyboardInterrupt

    set_hook(stop)
    with pytest.raises(KeyboardInterrupt):
        table.sync("t")
    set_hook(None)
    records = sorted((table.home / "landing" / "shop" / "t").glob("*/chunk-*.json"))
    assert len(records) == 3
    records[1].write_text(half)
    assert [row["inserted"] for row in synced(table)] == [20]
    assert table.loads() == 1


@pytest.mark.parametrize("half", ["", '{"load_id": "0', "null"])
def test_a_plan_that_was_half_written_is_read_anew(table: Project, half: str) -> None:
    folder = table.home / "landing" / "shop" / "t" / "01AAAAAAAAAAAAAAAAAAAAAAAA"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(half)
    assert [row["inserted"] for row in synced(table)] == [20]


@pytest.mark.parametrize("folder", ["a?b", "a\\b"])
def test_a_home_that_duckdb_cannot_name_is_refused_at_once(table: Project, folder: str) -> None:
    table.environment["DAYBREAK_HOME"] = str(table.home / folder)
    with pytest.raises(Exception, match="no DuckDB file may have in its path"):
        daybreak(table, "sync", "shop")
    assert not os.path.exists(table.home / folder)


@pytest.mark.parametrize("folder", ["a*b", "it's [x]", "id=5", 'q"uo $HOME', "new\nline", "100% %s {x}"])
def test_a_home_with_special_characters_is_a_home_like_others(table: Project, folder: str) -> None:
    """DuckDB takes brackets and stars for patterns, and `id=5` for a column of every file in it."""
    elsewhere = table.home.parent / "axb" / "landing" / "shop" / "t"
    elsewhere.mkdir(parents=True)
    table.home = table.home.parent / folder
    gates = {
        "expect_column_values_to_be_between": ({"column": "id", "min_value": 2}, "quarantine"),
        "expect_column_values_to_be_unique": ({"column": "name"}, "hold"),
    }
    table.declare("t", "snapshot", key=["id"], expectations=[{name: given, "on_failure": then} for name, (given, then) in gates.items()])
    assert [(row["inserted"], row["quarantined"]) for row in synced(table)] == [(19, 1)]
    table.run("update t set name = 'other' where id = 7")
    assert [row["updated"] for row in synced(table)] == [1]


def test_status_rebuilds_a_mirror_that_was_deleted(table: Project) -> None:
    synced(table)
    _delete_mirror(table)
    said = daybreak(table, "status")
    assert (said.exit_code, "never" in said.text) == (0, False)
    assert said.tells("shop.t", "20")


def test_status_says_that_the_mirror_is_lost_while_the_warehouse_is_in_use(table: Project) -> None:
    synced(table)
    _delete_mirror(table)
    with holding(HOLD_QUEUE, table.home / "warehouse.duckdb") as pid:
        said = daybreak(table, "status")
    assert said.exit_code == 0
    assert said.tells("The mirror", "is empty", f"pid {pid}", "The next run rebuilds it")


def _delete_mirror(project: Project) -> None:
    from pipelines.wiring import open_mirror

    open_mirror.cache_clear()
    for file in project.home.glob("state.db*"):
        if file.is_file():
            file.unlink()


def test_a_mirror_that_is_no_database_is_told_and_may_be_deleted(table: Project) -> None:
    synced(table)
    _delete_mirror(table)
    (table.home / "state.db").write_bytes(b"no database at all " * 1000)
    said = daybreak(table, "sync", "shop")
    assert (said.exit_code, said.tells("state.db", "cannot be opened", "Nothing was lost", "may be deleted")) == (2, True)
    _delete_mirror(table)
    assert [row["unchanged"] for row in synced(table)] == [20]
