"""What goes wrong around a sync: other runs, lost state, locks, and sources that do not answer, each with a message that helps."""

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from pipelines.errors import ConfigError, LandingCorrupt, PrerequisiteError, SourceUnavailable, WarehouseUnavailable
from pipelines.sync.steps import set_hook
from tests.conftest import Project


@pytest.fixture
def table(project: Project) -> Project:
    project.run(
        "create table t (id int primary key, name text, at timestamptz default now())",
        "insert into t select i, 'old' from generate_series(1, 20) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    return project


def at_step(name: str, action: object) -> None:
    """Do something once, before the step."""
    done: list[str] = []

    def hook(step: str, moment: str) -> None:
        if (step, moment) == (name, "before") and not done:
            done.append(step)
            action()  # type: ignore[operator]

    set_hook(hook)


@pytest.fixture(autouse=True)
def no_hook_stays() -> object:
    yield
    set_hook(None)


def test_two_syncs_at_once_of_one_table_leave_one_whole_state(table: Project) -> None:
    errors: list[BaseException] = []

    def sync() -> None:
        try:
            table.sync("t")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=sync) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    table.check("t")
    assert table.ask("select sum(rows_inserted) from daybreak.ledger") == [(20,)]


@pytest.mark.parametrize("step", ["gate", "claim"])
def test_a_load_that_another_run_overtook_is_planned_anew(table: Project, step: str) -> None:
    table.commit("t")
    table.run("insert into t values (100, 'A')")
    at_step(step, lambda: (table.run("insert into t values (101, 'B')"), table.sync("t")))
    table.sync("t")
    table.check("t")
    assert table.ask("select count(*) from daybreak.ledger") == [(2,)]


def test_a_token_that_another_run_took_before_the_commit_voids_the_load_and_it_is_retried(table: Project) -> None:
    from pipelines.warehouses import open_warehouse

    warehouse = open_warehouse(table.settings.warehouse_url, 20)
    spec = table.spec("t")
    at_step("commit", lambda: warehouse.claim(spec))
    assert table.commit("t").outcome == "committed"
    assert table.ask("select token from daybreak.watermarks") == [(3,)]


def test_a_mirror_that_was_deleted_is_rebuilt(table: Project) -> None:
    from pipelines.wiring import open_mirror

    table.commit("t")
    for file in table.home.glob("state.db*"):
        if file.is_file():
            file.unlink()
    open_mirror.cache_clear()
    assert table.sync("t").outcome == "unchanged"
    table.run("insert into t values (100, 'A')")
    assert table.commit("t").loads[0].counts.inserted == 1


def test_a_mirror_of_another_warehouse_is_thrown_away(table: Project, tmp_path: Path) -> None:
    table.commit("t")
    (table.home / "warehouse.duckdb").unlink()
    assert table.commit("t").loads[0].counts.inserted == 20


def test_a_schema_that_moves_while_it_is_read_is_planned_anew(table: Project) -> None:
    at_step("gate", lambda: table.run("alter table t add column extra int default 5"))
    table.sync("t")
    table.commit("t")
    at_step("land.chunk", lambda: table.run("alter table t add column more int default 6", "update t set at = now()"))
    table.run("insert into t values (100, 'A')")
    table.commit("t")


def test_a_comment_or_a_default_is_a_new_schema_version_and_touches_no_row(table: Project) -> None:
    table.commit("t")
    table.run("comment on column t.name is 'who'", "alter table t alter name set default 'x'")
    assert table.sync("t").outcome == "unchanged"
    assert table.ask("select max(version), (select count(*) from daybreak.ledger) from daybreak.schema_versions") == [(2, 1)]
    assert table.sync("t").outcome == "unchanged"
    assert table.ask("select max(version) from daybreak.schema_versions") == [(2,)]


def test_a_column_that_is_added_with_a_default_or_comes_back_is_filled_for_old_rows(table: Project) -> None:
    table.commit("t")
    table.run("alter table t add column n int default 5")
    table.commit("t")
    table.run("alter table t drop column n", "insert into t values (100, 'A')")
    table.commit("t")
    table.run("alter table t add column n text default 'again'")
    table.commit("t")
    assert table.ask("select count(*) from raw_shop.t where n_before_v4 = 5") == [(20,)]
    table.run("alter table t rename column n to m", "alter table t rename column name to n", "insert into t values (101, 'B')")
    table.commit("t")
    table.run("alter table t rename column m to swap", "alter table t rename column n to m", "alter table t rename column swap to n")
    table.run("insert into t values (102, 'C')")
    table.commit("t")


def test_days_of_before_an_added_column_are_read_again(project: Project) -> None:
    project.run(
        "create table t (id int primary key, at date)", "insert into t select i, '2026-02-01'::date + i from generate_series(1, 30) i"
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"})
    project.commit("t")
    project.run("alter table t add column n int default 5", "alter table t alter id type bigint")
    project.commit("t")
    assert project.sync("t").outcome == "unchanged"


def test_a_new_cursor_reads_the_table_again(table: Project) -> None:
    table.commit("t")
    table.run("alter table t add column changed_at timestamptz default '2020-01-01'", "update t set name = 'missed' where id = 3")
    table.declare("t", "incremental", key=["id"], cursor="changed_at")
    table.commit("t")


def test_a_frozen_contract_holds_any_change_and_keeps_the_last_load(table: Project) -> None:
    table.declare("t", "incremental", key=["id"], cursor="at", contract="freeze")
    table.commit("t")
    table.run("alter table t add column n int", "insert into t values (100, 'A')")
    result = table.sync("t")
    assert result.outcome == "held"
    assert "contract is `freeze`" in (result.held_reason or "")
    assert table.ask("select count(*) from raw_shop.t") == [(20,)]


def test_a_lock_that_another_process_holds_is_named(table: Project) -> None:
    table.commit("t")
    table.environment["DAYBREAK_LOCK_WAIT_SECONDS"] = "1"
    code = (
        "import sys, time; from pathlib import Path; from pipelines.state.lock import hold_lock\n"
        "with hold_lock(Path(sys.argv[1]), 'a long build', 5):\n    print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(table.home / "warehouse.duckdb.lock")], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            holder.stdout.readline()
            with pytest.raises(WarehouseUnavailable, match=rf"pid {holder.pid} on .*a long build"):
                table.sync("t")
        finally:
            holder.kill()
    assert table.sync("t").outcome == "unchanged"  # a dead holder's ticket does not count


def test_a_ticket_of_a_dead_process_with_our_number_does_not_block(table: Project) -> None:
    """In a container the process that starts again has the number of the one that was killed."""
    import os

    queue = table.home / "warehouse.duckdb.lock.queue"
    queue.mkdir(parents=True)
    (queue / f"{1:020d}-{os.getpid()}-0").write_text("{}")
    table.environment["DAYBREAK_LOCK_WAIT_SECONDS"] = "2"
    table.commit("t")


def test_a_file_that_another_program_has_open_is_said_to_be(table: Project) -> None:
    table.commit("t")
    table.environment["DAYBREAK_LOCK_WAIT_SECONDS"] = "1"
    code = "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); print('open', flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(table.home / "warehouse.duckdb")], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout
            holder.stdout.readline()
            with pytest.raises(WarehouseUnavailable, match=r"warehouse\.read\.duckdb"):
                table.sync("t")
        finally:
            holder.kill()


def test_a_source_that_is_not_there_or_refuses_says_so_without_the_password(table: Project) -> None:
    name = "refused_" + table.url.partition("@/")[2].partition("?")[0]
    host = table.url.partition("?host=")[2]
    table.run(f"create role {name} login password 's3cret'")
    database = table.url.partition("@/")[2].partition("?")[0]
    cases = {
        f"postgresql://{name}:s3cret@127.0.0.1:1/x": SourceUnavailable,
        f"postgresql://{name}:s3cret@/no_such_database?host={host}": PrerequisiteError,
        f"postgresql://nobody_here:s3cret@/{database}?host={host}": PrerequisiteError,
        f"postgresql://{name}:s3cret@/{database}?host={host}": PrerequisiteError,  # no SELECT on the table
        f"postgresql://{name}:s3cret@:bad:port/{database}": SourceUnavailable,
        f"postgresql://{name}:s3cret@/{database}?host={host}&no_such_option=1": SourceUnavailable,
        "mysql://someone:s3cret@host/x": ConfigError,
    }
    try:
        for url, expected in cases.items():
            table.url, owner = url, table.url
            with pytest.raises(expected) as raised:
                table.sync("t")
            table.url = owner
            chain = [raised.value]
            while (cause := chain[-1].__cause__) is not None:
                assert cause not in chain, "an error that is its own cause: whoever walks the chain never ends"
                chain.append(cause)
            shown = "".join(map(str, chain))
            assert "s3cret" not in shown, shown
    finally:
        with psycopg.connect(table.url) as connection:
            connection.execute(f"drop role {name}")


def test_a_missing_table_or_column_reports_every_problem_at_once(table: Project) -> None:
    table.declare("gone", "snapshot")
    with pytest.raises(PrerequisiteError, match=r"there is no table or view public\.gone"):
        table.sync("gone")
    table.declare("t", "incremental", key=["id", "wrong"], cursor="missing")
    with pytest.raises(PrerequisiteError) as raised:
        table.sync("t")
    assert len(raised.value.problems) == 2


def test_a_connection_that_is_cut_while_reading_is_a_source_that_does_not_answer(table: Project) -> None:
    def cut() -> None:
        with psycopg.connect(table.url, autocommit=True) as connection:
            connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )

    at_step("read.chunk", cut)
    with pytest.raises(SourceUnavailable):
        table.sync("t")
    table.commit("t")


def test_a_stream_that_takes_too_long_names_its_limit(project: Project) -> None:
    project.run(
        "create table base (id int)", "insert into base values (1)", "create view slow as select id, pg_sleep(3)::text as s from base"
    )
    project.declare("slow", "snapshot")
    project.environment["DAYBREAK_MAX_SNAPSHOT_SECONDS"] = "1"
    with pytest.raises(SourceUnavailable, match="DAYBREAK_MAX_SNAPSHOT_SECONDS"):
        project.sync("slow")


def test_a_landed_file_that_was_altered_is_never_loaded(table: Project) -> None:
    def alter() -> None:
        (file, *_) = table.files("t")
        file.write_bytes(file.read_bytes()[:-1] + b"x")

    at_step("gate", alter)
    with pytest.raises(LandingCorrupt):
        table.sync("t")
    assert table.loads() == 0


def test_a_plan_of_another_version_of_the_code_is_read_anew(table: Project) -> None:
    folder = table.home / "landing" / "shop" / "t" / "01AAAAAAAAAAAAAAAAAAAAAAAA"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text('{"load_id": "x"}')
    table.commit("t")
    assert not folder.exists()
