"""`deleted_rows: mark`: a row that is gone from the source stays, with the time that it was noticed, and is counted as deleted."""

from typing import Any

import pytest

from pipelines.state.parity_wording import tell_parity
from pipelines.sync.model import Counts
from tests.conftest import Project
from tests.integration.comparing import by_hand, make_orders, named, reconcile

pytestmark = pytest.mark.slow

MARK = {"deletes": "reconcile", "deleted_rows": "mark"}
REMOVE = {"deletes": "reconcile"}


def make_marking(project: Project, rows: int = 30, **entry: Any) -> Project:
    make_orders(project, rows, **MARK, **entry)
    return project


def declare(project: Project, **entry: Any) -> None:
    project.declare("t", "incremental", key=["id"], cursor="updated_at", **entry)


def marked(project: Project) -> list[int]:
    return [key for (key,) in project.ask("select id from raw_shop.t where _deleted_at is not null order by id")]


def last_counts(project: Project) -> Counts:
    names = ("read", "inserted", "updated", "unchanged", "superseded", "quarantined", "deleted")
    (row,) = project.ask(f"select {', '.join(f'rows_{name}' for name in names)} from daybreak.ledger order by token desc limit 1")
    return Counts(**dict(zip(names, row, strict=True)))


def assert_sums_agree(project: Project) -> None:
    """Whatever came and went: what the ledger says was inserted, less what was deleted, stands."""
    ledger = "select sum(rows_inserted) - sum(rows_deleted), max_by(total_rows, token) from daybreak.ledger"
    ((sums, total),) = project.ask(ledger)
    assert sums == total == project.ask("select count(*) from raw_shop.t where _deleted_at is null")[0][0]


def delete_and_heal(project: Project, where: str = "id in (3, 4)") -> None:
    project.run(f"delete from t where {where}")
    assert reconcile(project, is_healing=True).outcome == "equal"


def test_a_row_that_is_gone_stays_with_the_time_that_it_was_noticed_and_counts_as_deleted(project: Project) -> None:
    make_marking(project)
    before = project.ask("select name, n, updated_at from raw_shop.t where id = 3")
    project.run("delete from t where id in (3, 4)")
    assert named(reconcile(project)) == {"3": "extra", "4": "extra"}
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.deleted, healed.marked, healed.source_rows, healed.warehouse_rows) == ("equal", 2, 2, 28, 28)
    assert marked(project) == [3, 4]
    assert project.ask("select name, n, updated_at from raw_shop.t where id = 3") == before
    told = tell_parity(healed.numbers)
    assert "28 = 28, content equal" in told
    assert "2 deleted; 2 gone from the source and kept with a mark" in told
    stamped = "select _deleted_at = _loaded_at, committed_at = _loaded_at from raw_shop.t join daybreak.ledger on load_id = _load_id"
    assert project.ask(f"{stamped} where id in (3, 4)") == [(True, True), (True, True)]
    assert last_counts(project) == Counts(read=0, deleted=2)
    assert_sums_agree(project)
    project.check("t")


def test_a_row_that_is_marked_is_not_marked_or_counted_again(project: Project) -> None:
    make_marking(project)
    delete_and_heal(project)
    before, loads = project.ask("select * from raw_shop.t where _deleted_at is not null"), project.loads()
    again = reconcile(project, is_healing=True)
    assert (again.outcome, again.deleted, again.marked) == ("equal", 0, 2)
    assert project.loads() == loads
    delete_and_heal(project, "id = 5")
    assert last_counts(project).deleted == 1
    assert marked(project) == [3, 4, 5]
    assert project.ask("select * from raw_shop.t where id in (3, 4)") == before
    assert_sums_agree(project)


def test_a_row_that_comes_back_with_a_sync_loses_its_mark_and_counts_as_inserted(project: Project) -> None:
    make_marking(project)
    delete_and_heal(project)
    project.run("insert into t values (3, 'again', 1, '2026-03-05'), (31, 'new', 1, '2026-03-05')")
    project.run("update t set n = 0, updated_at = '2026-03-05' where id = 5")
    project.commit("t")
    counts = last_counts(project)
    assert (counts.inserted, counts.updated) == (2, 1)
    assert marked(project) == [4]
    assert_sums_agree(project)
    assert reconcile(project).outcome == "equal"


def test_an_identical_row_that_comes_back_is_not_taken_for_unchanged(project: Project) -> None:
    make_marking(project, 5)
    project.run("create table was as select * from t")
    delete_and_heal(project, "id in (2, 5)")
    project.run("insert into t select * from was where id in (2, 5)")  # 5 has the greatest cursor, and is read again by the next sync
    assert project.sync("t").outcome == "committed"
    assert marked(project) == [2]
    counts = last_counts(project)
    assert (counts.inserted, counts.updated) == (1, 0)
    assert named(reconcile(project)) == {"2": "missing"}
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.reread, healed.marked) == ("equal", 1, 0)
    assert last_counts(project) == Counts(read=1, inserted=1)
    assert marked(project) == []
    assert_sums_agree(project)
    project.check("t")


def test_a_mass_delete_is_held_and_rows_that_are_marked_do_not_count_towards_it(project: Project) -> None:
    make_marking(project, 100, max_deletes=12)
    delete_and_heal(project, "id <= 10")
    delete_and_heal(project, "id between 11 and 20")
    project.run("delete from t where id between 21 and 33")
    held = reconcile(project, is_healing=True)
    assert (held.outcome, held.extra, held.deleted, len(marked(project))) == ("held", 13, 0, 20)
    assert "13 of 80" in str(held.reason)
    done = reconcile(project, is_healing=True, overruled_by="ada")
    assert (done.outcome, done.deleted, done.overruled_by) == ("equal", 13, "ada")
    assert len(marked(project)) == 33
    assert_sums_agree(project)


def test_an_empty_source_marks_nothing(project: Project) -> None:
    make_marking(project, 5, max_deletes=1.0)
    project.run("truncate t")
    assert reconcile(project, is_healing=True).outcome == "held"
    assert marked(project) == []


def test_a_table_of_which_every_row_is_marked_goes_on(project: Project) -> None:
    make_marking(project, 3, max_deletes=1.0)
    project.run("insert into t values (9, 'x', 1, '2026-02-01')")
    project.run("delete from t where id < 9")
    assert reconcile(project, is_healing=True).outcome == "equal"
    by_hand(project, "delete from raw_shop.t where id = 9")
    project.run("insert into t values (1, 'again', 1, '2026-03-05')")
    project.sync("t")
    assert marked(project) == [2, 3]
    assert project.ask("select count(*) from raw_shop.t where id = 1") == [(1,)]


def test_switching_it_on_adds_the_column_with_the_next_sync_even_if_nothing_is_new(project: Project) -> None:
    make_orders(project, **REMOVE)
    assert project.sync("t").outcome == "unchanged"
    declare(project, **MARK)
    assert project.sync("t").outcome == "committed"
    assert marked(project) == []
    assert (last_counts(project).inserted, last_counts(project).updated) == (0, 0)
    assert project.sync("t").outcome == "unchanged"


def test_switching_it_on_right_before_a_comparison_marks_too(project: Project) -> None:
    make_orders(project, **REMOVE)
    declare(project, **MARK)
    project.run("delete from t where id = 3")
    assert named(reconcile(project)) == {"3": "extra"}
    healed = reconcile(project, is_healing=True)
    assert (healed.outcome, healed.deleted, healed.marked) == ("equal", 1, 1)
    assert marked(project) == [3]


def test_switching_it_off_removes_what_was_marked_with_the_next_healing_under_the_guard(project: Project) -> None:
    make_marking(project, 60, max_deletes=0.5)
    delete_and_heal(project, "id <= 15")
    declare(project, **REMOVE, max_deletes=12)
    project.sync("t")
    held = reconcile(project, is_healing=True)
    assert (held.outcome, held.extra, held.deleted, len(marked(project))) == ("held", 15, 0, 15)
    done = reconcile(project, is_healing=True, overruled_by="ada")
    assert (done.outcome, done.deleted, done.source_rows, done.warehouse_rows) == ("equal", 15, 45, 45)
    assert project.ask("select count(*), count(_deleted_at) from raw_shop.t") == [(45, 0)]  # models may name the column still
    assert last_counts(project) == Counts(read=0, deleted=15)
    assert project.ask("select total_rows from daybreak.ledger order by token desc limit 1") == [(45,)]
    project.check("t")


def test_switching_it_off_gives_rows_that_are_back_unseen_their_place_again(project: Project) -> None:
    make_marking(project)
    project.run("create table was as select * from t")
    delete_and_heal(project)
    project.run("insert into t select * from was where id = 3")
    declare(project, **REMOVE)
    assert named(reconcile(project)) == {"3": "different", "4": "extra"}
    assert reconcile(project, is_healing=True).outcome == "equal"
    assert project.ask("select count(*), count(_deleted_at) from raw_shop.t") == [(29, 0)]
    declare(project, **MARK)
    delete_and_heal(project, "id = 5")
    assert marked(project) == [5]
    project.check("t")


def test_another_mode_deletes_what_was_marked(project: Project) -> None:
    make_marking(project)
    delete_and_heal(project)
    project.run("insert into t values (4, 'again', 1, '2026-01-01')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    assert project.ask("select count(*), count(_deleted_at) from raw_shop.t") == [(29, 0)]
    assert (last_counts(project).deleted, last_counts(project).inserted) == (1, 1)
    project.declare("t", "snapshot")
    project.commit("t")
