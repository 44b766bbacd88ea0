"""Rows that are marked as deleted while schema, masks and gates change around them, and when they are to be forgotten."""

import secrets as random

import duckdb
import pytest

from pipelines.errors import PrerequisiteError
from pipelines.retention import enforce_retention
from pipelines.sync.model import Counts
from pipelines.wiring import open_mirror
from tests.conftest import Project
from tests.integration.comparing import make_orders, reconcile
from tests.integration.evolving import apply, plan
from tests.integration.test_privacy import forget
from tests.integration.test_soft_deletes import MARK, REMOVE, assert_sums_agree, declare, delete_and_heal, last_counts, make_marking, marked
from tests.sweeping import sweep_folder

pytestmark = pytest.mark.slow


@pytest.fixture
def table(project: Project) -> Project:
    """Thirty rows, of which 3 and 4 are marked; ``was`` has them all."""
    make_marking(project)
    project.run("create table was as select * from t")
    delete_and_heal(project)
    return project


def test_a_column_that_is_added_is_filled_in_rows_that_stand_and_stays_null_in_marked_ones(table: Project) -> None:
    table.run("alter table t add column fee int default 5")
    table.commit("t")
    assert table.ask("select id from raw_shop.t where fee is null order by id") == [(3,), (4,)]
    assert last_counts(table) == Counts(read=28, updated=27, unchanged=1)  # the newest one came whole
    assert reconcile(table).outcome == "equal"
    assert_sums_agree(table)


def test_a_marked_row_that_is_back_unseen_is_read_whole_and_not_filled(table: Project) -> None:
    table.run("insert into t select * from was where id = 3", "alter table t add column fee int default 5")
    table.sync("t")
    assert (last_counts(table).updated, last_counts(table).superseded) == (27, 1)
    assert (marked(table), table.ask("select fee from raw_shop.t where id = 3")) == ([3, 4], [(None,)])
    assert reconcile(table, is_healing=True).outcome == "equal"
    assert (marked(table), table.ask("select fee from raw_shop.t where id = 3")) == ([4], [(5,)])
    table.check("t")
    assert_sums_agree(table)


def test_columns_that_are_renamed_widened_and_dropped_keep_what_marked_rows_had(table: Project) -> None:
    table.run("alter table t rename name to title", "alter table t alter n type bigint")
    table.commit("t")
    assert table.ask("select title, n from raw_shop.t where id = 3") == [("name 3", 3)]
    table.run("alter table t drop title")
    table.sync("t")
    assert table.ask("select title from raw_shop.t where id = 3") == [("name 3",)]
    assert marked(table) == [3, 4]
    assert reconcile(table).outcome == "equal"


def test_a_table_that_is_loaded_anew_leaves_its_marks_in_the_one_that_was_kept(table: Project) -> None:
    table.run("alter table t alter id type text")
    apply(table, str(plan(table).approval))
    assert table.ask("select count(*), count(_deleted_at) from raw_shop.t") == [(28, 0)]
    assert table.ask("select count(*), count(_deleted_at) from raw_shop.t_before_v2") == [(30, 2)]
    delete_and_heal(table, "id = '5'")
    assert table.ask("select id from raw_shop.t where _deleted_at is not null") == [("5",)]


def test_a_column_of_the_source_with_the_name_of_the_marks_is_refused_with_a_remedy(project: Project) -> None:
    project.run("create table t (id int primary key, updated_at timestamptz, _deleted_at int)", "insert into t values (1, '2026-03-01', 7)")
    declare(project, **REMOVE)
    project.commit("t")  # without marks the name is the source's
    declare(project, **MARK)
    with pytest.raises(PrerequisiteError, match="a name that Daybreak uses itself for `deleted_rows: mark`") as raised:
        project.sync("t")
    assert "mask: drop" in str(raised.value)
    declare(project, **MARK, columns={"_deleted_at": {"mask": "drop"}})
    project.sync("t")
    assert project.ask("select _deleted_at, id from raw_shop.t") == [(None, 1)]
    assert project.ask("select * from duckdb_columns() where column_name like '_deleted_at_before%'") == []
    project.run("insert into t values (2, '2026-03-01', 1)")
    project.sync("t")
    delete_and_heal(project, "id = 2")
    assert marked(project) == [2]


def test_a_column_of_that_name_that_the_source_dropped_is_kept_under_another_one(project: Project) -> None:
    project.run("create table t (id int primary key, updated_at timestamptz, _deleted_at int)")
    project.run("insert into t select i, '2026-03-01', i from generate_series(1, 3) i")
    declare(project, **REMOVE)
    project.commit("t")
    project.run("alter table t drop _deleted_at")
    project.sync("t")
    declare(project, **MARK)
    delete_and_heal(project, "id = 2")
    assert project.ask("select id, _deleted_at is null, _deleted_at_before_v2 from raw_shop.t order by id") == [
        (1, True, 1),
        (2, False, 2),
        (3, True, 3),
    ]


def test_a_column_of_that_name_that_comes_when_marks_are_off_takes_it(table: Project) -> None:
    declare(table, **REMOVE)
    table.run("alter table t add column _deleted_at int", "update t set _deleted_at = 7, updated_at = '2026-03-05' where id = 1")
    table.sync("t")
    assert table.ask("select id from raw_shop.t where _deleted_at_before_v2 is not null order by id") == [(3,), (4,)]
    assert table.ask("select id, _deleted_at from raw_shop.t where _deleted_at is not null") == [(1, 7)]
    assert reconcile(table, is_healing=True).deleted == 2
    table.check("t")


@pytest.mark.parametrize("mask", ["hmac", "drop"])
def test_a_mask_that_comes_later_reaches_marked_rows_to_the_last_block(project: Project, mask: str) -> None:
    canary = f"canary-{random.token_hex(12)}"
    project.run("create table t (id int primary key, mail text, updated_at timestamptz)")
    project.run(f"insert into t select i, case i when 2 then '{canary}' else 'm' || i end, '2026-03-01' from generate_series(1, 60) i")
    declare(project, **MARK)
    project.commit("t")
    delete_and_heal(project, "id = 2")
    assert found(project, canary)
    declare(project, **MARK, columns={"mail": {"mask": mask}})
    project.sync("t")
    assert marked(project) == [2]
    assert last_counts(project).read == 59
    if mask == "hmac":  # the clear value is gone, and with it what could be hashed
        assert project.ask("select id from raw_shop.t where mail is null") == [(2,)]
    enforce_retention(project.settings, open_mirror(project.settings.state_url))
    assert found(project, canary) == set()
    assert reconcile(project).outcome == "equal"


def found(project: Project, canary: str) -> set[str]:
    return {find.place for find in sweep_folder(project.home, {"canary": canary}, without=[project.home / "catalog" / "shop.yaml"])}


def test_a_mask_that_is_taken_off_leaves_no_hash_among_clear_values(project: Project) -> None:
    project.run("create table t (id int primary key, mail text, updated_at timestamptz)")
    project.run("insert into t select i, 'm' || i, '2026-03-01' from generate_series(1, 9) i")
    declare(project, **MARK, columns={"mail": {"mask": "hmac"}})
    project.sync("t")
    delete_and_heal(project, "id = 2")
    declare(project, **MARK)
    project.commit("t")
    assert project.ask("select id, mail from raw_shop.t where id < 4 order by id") == [(1, "m1"), (2, None), (3, "m3")]
    assert marked(project) == [2]


def test_a_row_that_comes_back_bad_is_not_called_stale_and_stands_once_it_is_mended(project: Project) -> None:
    gate = {"expect_column_values_to_be_between": {"column": "n", "min_value": 0}, "on_failure": "quarantine"}
    make_marking(project, expectations=[gate])
    delete_and_heal(project)
    project.run("insert into t values (3, 'bad', -1, '2026-03-05')")
    project.commit("t")
    assert project.ask("select key, stale_load_id from daybreak.quarantine where state = 'open'") == [('["3"]', None)]
    assert marked(project) == [3, 4]
    assert reconcile(project).outcome == "equal"
    project.run("update t set n = 1 where id = 3")
    project.replay("t")
    assert marked(project) == [4]
    assert last_counts(project).inserted == 1
    assert_sums_agree(project)
    project.check("t")


def test_a_row_that_is_to_be_forgotten_is_taken_out_though_it_is_marked(table: Project) -> None:
    entry = forget(table, "3").entry
    assert entry is not None
    assert (entry.counts.deleted, entry.total_rows) == (1, 28)
    assert table.ask("select count(*) from raw_shop.t where id = 3") == [(0,)]
    assert marked(table) == [4]
    table.run("delete from t where id = 5")  # gone, and not marked yet
    forget(table, "5")
    assert marked(table) == [4]
    assert table.ask("select count(*) from raw_shop.t where id = 5") == [(0,)]
    assert reconcile(table).outcome == "equal"


def test_a_table_that_is_held_on_its_first_load_has_the_column(project: Project) -> None:
    hold = {"expect_table_row_count_to_be_between": {"min_value": 1}, "on_failure": "hold"}
    project.run("create table t (id int primary key, updated_at timestamptz)")
    declare(project, **MARK, expectations=[hold])
    assert project.sync("t").outcome == "held"
    assert project.ask("select _deleted_at from raw_shop.t") == []
    project.run("insert into t values (1, '2026-03-01')")
    project.commit("t")
    assert marked(project) == []


def test_a_load_that_cannot_commit_marks_nothing_and_adds_no_column(project: Project) -> None:
    make_orders(project, **REMOVE)
    with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:  # it fails behind the rows, at the ledger
        connection.execute("alter table daybreak.ledger drop column files")
    declare(project, **MARK)
    project.run("delete from t where id = 3")
    held = reconcile(project, is_healing=True)
    assert (held.outcome, held.deleted) == ("held", 0)
    assert project.ask("select count(*) from raw_shop.t") == [(30,)]
    assert project.ask("select * from duckdb_columns() where column_name = '_deleted_at'") == []
