"""A held load is let in as it is by a person, on the record, and only where the table still stands on what it was planned on."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from pipelines.errors import ConfigError, LandingCorrupt
from pipelines.landing.held import HeldLoad, list_held
from pipelines.quarantine import HeldRow, list_quarantine, release
from pipelines.sync.release import Release
from pipelines.sync.steps import set_hook
from pipelines.wiring import open_landing, open_mirror
from tests.conftest import TODAY, Project

pytestmark = pytest.mark.slow

POSITIVE = {"expect_column_values_to_be_between": {"column": "fee", "min_value": 0}, "on_failure": "quarantine"}
MANY = {"expect_table_row_count_to_be_between": {"min_value": 1000}, "on_failure": "hold"}
MODES: dict[str, dict[str, Any]] = {
    "incremental": {"key": ["id"], "cursor": "at"},
    "snapshot": {"key": ["id"]},
    "partitioned": {"key": ["id"], "partition": {"column": "at", "start": "2026-01-01"}},
}


@pytest.fixture(autouse=True)
def no_hook_stays() -> Iterator[None]:
    yield
    set_hook(None)


def make_table(project: Project, mode: str, **entry: Any) -> None:
    """A table ``t`` of good rows over three days, and an entry that holds loads with more than two bad rows."""
    project.run(
        "create table t (id int primary key, fee int, at timestamptz)",
        f"insert into t select i, i, '{TODAY}'::timestamptz - interval '1 h' - i * interval '1 h' from generate_series(1, 60) i",
    )
    project.declare("t", mode, **{"expectations": [POSITIVE], "max_quarantined": 2, **MODES[mode], **entry})


def break_rows(project: Project) -> None:
    """Three bad rows where every mode reads them."""
    project.run(f"update t set fee = -1, at = '{TODAY}'::timestamptz - interval '30 min' where id in (1, 2, 3)")


def hold(project: Project) -> HeldLoad:
    """Sync, expect that the load is held, and return it."""
    result = project.sync("t")
    assert result.outcome == "held", result
    return list_held(open_landing(project.settings))[-1]


def let_in(project: Project, held: HeldLoad) -> Release:
    return release(project.settings, held.plan.load_id, "ada")[1]


def listed(project: Project) -> list[HeldRow]:
    return list(list_quarantine(project.settings)[1])


def held_by(project: Project) -> str | None:
    return open_mirror(project.settings.state_url).status("shop.t").held_load_id


@pytest.mark.parametrize("mode", list(MODES))
def test_a_load_over_its_budget_is_let_in_with_its_bad_rows_in_quarantine_and_the_next_sync_finds_nothing_new(
    project: Project, mode: str
) -> None:
    make_table(project, mode)
    project.commit("t")
    break_rows(project)
    project.run(f"insert into t values (100, 1, '{TODAY}'::timestamptz - interval '10 min')")
    held = hold(project)
    assert project.ask("select count(*) from raw_shop.t where id = 100") == [(0,)]
    assert [(row.load_id, row.state, row.mornings, row.rows) for row in listed(project)] == [(held.plan.load_id, "waiting", 1, held.rows)]
    outcome = let_in(project, held)
    assert (outcome.state, outcome.entry and outcome.entry.counts.quarantined) == ("released", 3)
    assert outcome.told.startswith("overruled: gate max_quarantined (quarantined 3")
    assert "3 rows stepped aside" in outcome.told
    assert project.ask("select released_by from daybreak.ledger order by load_id") == [(None,), ("ada",)]
    assert [row["key"] for row in sorted(project.quarantine("t"), key=lambda row: row["key"])] == ['["1"]', '["2"]', '["3"]']
    project.check("t")
    assert (held_by(project), listed(project)) == (None, [])
    assert project.sync("t").outcome == "unchanged"
    with pytest.raises(ConfigError, match="was committed at"):
        let_in(project, held)


def test_a_first_load_that_a_hold_gate_kept_out_can_be_let_in(project: Project) -> None:
    make_table(project, "snapshot", expectations=[MANY])
    held = hold(project)
    assert let_in(project, held).state == "released"
    assert project.ask("select count(*) from raw_shop.t") == [(60,)]
    project.check("t")


@pytest.mark.parametrize("cause", ["load", "replay", "entry", "schema", "catalog"])
def test_a_held_load_is_superseded_when_the_table_moved_on(project: Project, cause: str) -> None:
    make_table(project, "snapshot", max_quarantined=1)
    project.run("update t set fee = -1 where id = 60")
    project.commit("t")
    break_rows(project)
    held = hold(project)
    if cause == "load":
        project.run("update t set fee = 1")
        project.commit("t")
    elif cause == "replay":
        project.run("update t set fee = 1 where id = 60")
        assert project.replay("t").good == 1
    elif cause == "entry":
        project.declare("t", "snapshot", key=["id"], max_quarantined=3)
    elif cause == "schema":
        project.run("comment on table t is 'later'", "update t set fee = 1")
        project.sync("t")
    else:
        project.tables = []
        project.declare("other", "snapshot")
    before = project.loads()
    (row,) = listed(project)
    outcome = let_in(project, held)
    assert (outcome.state, row.state, row.told) == ("superseded", "superseded", outcome.told)
    told = {"load": "loaded since", "replay": "loaded since", "entry": "entry", "schema": "loaded since", "catalog": "not in the catalog"}
    assert told[cause] in outcome.told
    assert project.loads() == before


def test_a_load_with_repeated_keys_is_refused(project: Project) -> None:
    project.run("create table t (id int, fee int)", "insert into t values (1, 1), (1, 2)")
    project.declare("t", "snapshot", key=["id"])
    held = hold(project)
    outcome = let_in(project, held)
    assert outcome.state == "refused"
    assert "key_is_unique (repeated keys 1" in outcome.told
    assert project.loads() == 0
    assert held_by(project) == held.plan.load_id
    project.run("delete from t where fee = 2")
    project.commit("t")


@pytest.fixture
def windows(project: Project) -> Project:
    """A partitioned table whose days are two windows, each over its budget, and a row that moved between their readings."""
    project.run(
        "create table t (id int primary key, fee int, at date)",
        "insert into t select i, case when i % 10 = 0 then -1 else 1 end, '2026-01-01'::date + i from generate_series(0, 59) i",
    )
    project.declare(
        "t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"}, expectations=[POSITIVE], max_quarantined=0
    )
    reads: list[str] = []

    def move(step: str, moment: str) -> None:
        reads.extend([step] if (step, moment) == ("gate", "before") else [])
        if (step, moment) == ("gate", "before") and len(reads) == 1:
            project.run("update t set at = '2026-02-20', fee = 7 where id = 5")

    set_hook(move)
    assert project.sync("t").outcome == "held"
    set_hook(None)
    return project


def test_held_windows_of_one_sync_are_let_in_from_the_oldest_on(windows: Project) -> None:
    first, second = list_held(open_landing(windows.settings))
    assert (held_by(windows), [row.state for row in listed(windows)]) == (first.plan.load_id, ["waiting", "waiting"])
    assert let_in(windows, first).state == "released"
    assert held_by(windows) == second.plan.load_id
    assert [(row.load_id, row.state) for row in listed(windows)] == [(second.plan.load_id, "waiting")]
    assert let_in(windows, second).state == "released"
    assert held_by(windows) is None
    assert windows.ask('select fee, cast("at" as varchar) from raw_shop.t where id = 5') == [(7, "2026-02-20")]
    windows.check("t")
    windows.tables[0]["max_quarantined"] = 100
    windows.commit("t")


def test_a_later_window_that_was_let_in_first_supersedes_the_earlier_one(windows: Project) -> None:
    """The row that moved would be put back to where it was read first."""
    first, second = list_held(open_landing(windows.settings))
    assert let_in(windows, second).state == "released"
    outcome = let_in(windows, first)
    assert (outcome.state, second.plan.load_id in outcome.told) == ("superseded", True)
    assert held_by(windows) == first.plan.load_id  # those days are still missing
    windows.run("update t set fee = 1 where fee < 0")
    windows.commit("t")
    assert (held_by(windows), windows.quarantine("t")) == (None, [row for row in windows.quarantine("t") if row["day"].month == 2])


def test_a_window_is_superseded_when_something_else_than_its_sync_loaded_the_table(windows: Project) -> None:
    first, second = list_held(open_landing(windows.settings))
    assert let_in(windows, first).state == "released"
    windows.run("update t set fee = 1 where id = 10")
    assert windows.replay("t", "10").good == 1
    assert let_in(windows, second).state == "superseded"


def test_two_releases_at_once_let_the_load_in_once(project: Project) -> None:
    make_table(project, "incremental")
    project.commit("t")
    break_rows(project)
    held = hold(project)
    outcomes: list[str] = []

    def let_in_too() -> None:
        try:
            outcomes.append(let_in(project, held).state)
        except ConfigError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=let_in_too) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[-1] == "released"
    assert "was committed at" in sorted(outcomes)[0]
    assert project.ask("select count(*) from daybreak.ledger where released_by = 'ada'") == [(1,)]
    project.check("t")


def test_a_release_that_died_after_its_commit_is_ended_by_the_next_one(project: Project) -> None:
    make_table(project, "incremental")
    project.commit("t")
    break_rows(project)
    held = hold(project)

    def die(step: str, moment: str) -> None:
        if (step, moment) == ("commit", "after"):
            raise KeyboardInterrupt

    set_hook(die)
    with pytest.raises(KeyboardInterrupt):
        let_in(project, held)
    set_hook(None)
    assert held_by(project) == held.plan.load_id
    assert let_in(project, held).state == "released"
    assert (held_by(project), listed(project)) == (None, [])
    assert project.ask("select count(*) from daybreak.ledger") == [(2,)]
    assert project.sync("t").outcome == "unchanged"


def test_a_run_that_claimed_the_table_and_died_does_not_supersede_a_held_load(project: Project) -> None:
    from pipelines.warehouses import open_warehouse

    make_table(project, "incremental")
    project.commit("t")
    break_rows(project)
    held, claims = hold(project), list[str]()

    def claim(step: str, moment: str) -> None:
        if (step, moment) == ("commit", "before") and not claims:
            claims.append(step)
            open_warehouse(project.settings.warehouse_url, 20).claim(project.spec("t"))

    set_hook(claim)
    assert let_in(project, held).state == "released"
    project.check("t")


@pytest.mark.parametrize("damage", ["chunk altered", "chunk missing", "record missing", "last record missing"])
def test_a_damaged_held_load_is_not_let_in(project: Project, damage: str) -> None:
    make_table(project, "snapshot")
    project.commit("t")
    break_rows(project)
    held = hold(project)
    kind = "json" if "record" in damage else "parquet"
    file = sorted(held.path.glob(f"chunk-*.{kind}"))[-1 if "last" in damage else 1]
    if "altered" in damage:
        whole = file.read_bytes()
        file.write_bytes(whole[:60] + bytes([whole[60] ^ 1]) + whole[61:])
    else:
        file.unlink()
    with pytest.raises(LandingCorrupt, match=r"(?i)nothing was loaded from"):
        let_in(project, held)
    assert project.loads() == 1
    project.run("update t set fee = 1 where fee < 0")
    project.commit("t")


def test_what_another_version_held_is_not_listed(project: Project) -> None:
    make_table(project, "snapshot", max_quarantined=0)
    break_rows(project)
    held = hold(project)
    plan = json.loads((held.path / "plan.json").read_text())
    (held.path / "plan.json").write_text(json.dumps({**plan, "planned_at": None}))
    assert listed(project) == []
    assert replace(held, rows=0) != held


@pytest.mark.parametrize(
    ("limit", "bad", "outcome"),
    [
        (3, 3, "committed"),
        (2, 3, "held"),
        (0, 1, "held"),
        (0.0, 1, "held"),
        (0.05, 10, "committed"),
        (0.05, 11, "held"),
        (0.5, 30, "committed"),
        (0.5, 31, "held"),
    ],
)
def test_the_budget_is_a_count_or_a_share_that_tolerates_a_few(project: Project, limit: float, bad: int, outcome: str) -> None:
    make_table(project, "snapshot", max_quarantined=limit)
    project.run(f"update t set fee = -1 where id <= {bad}")
    assert project.sync("t").outcome == outcome
    if outcome == "committed":
        project.check("t")


def test_a_table_that_is_held_every_morning_keeps_the_files_of_its_newest_loads_only(project: Project) -> None:
    project.environment["DAYBREAK_KEEP_LOADS"] = "2"
    make_table(project, "snapshot", max_quarantined=0)
    break_rows(project)
    every = [hold(project).plan.load_id for _ in range(4)]
    assert [held.plan.load_id for held in list_held(open_landing(project.settings))] == every[-2:]
    assert sorted(path.name for path in (project.home / "landing" / "shop" / "t").iterdir()) == every[-2:]


def test_a_table_without_a_key_is_not_emptied_by_a_few_bad_rows(project: Project) -> None:
    """No older version of its rows would stay in it."""
    project.run("create table t (id int, fee int)", "insert into t select i, i from generate_series(1, 10) i")
    project.declare("t", "snapshot", expectations=[POSITIVE])
    project.commit("t")
    project.run("update t set fee = -1 where id <= 6")
    assert project.sync("t").outcome == "held"
    assert project.ask("select count(*) from raw_shop.t") == [(10,)]
    project.run("update t set fee = 1 where id = 6")
    project.commit("t")
