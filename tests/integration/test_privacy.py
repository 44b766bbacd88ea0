"""A mask that comes later reaches what was read before it; a row that is to be forgotten is; nothing is kept longer than wanted."""

import fcntl
import json
import os
import secrets as random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from pipelines.delivery.publish import publish
from pipelines.errors import ConfigError, LoadConflict, PrerequisiteError
from pipelines.retention import enforce_retention
from pipelines.sync.forget import Forgotten, forget_row
from pipelines.wiring import SyncRequest, open_engine, open_mirror
from tests.conftest import Project
from tests.crash.conftest import Run, forker, run
from tests.crash.crashing import DIED
from tests.integration.command_line import daybreak
from tests.sweeping import sweep_folder

__all__ = ["forker", "run"]  # fixtures
POSITIVE = {"expect_column_values_to_be_between": {"column": "fee", "min_value": 0}, "on_failure": "quarantine"}
MASKS = {"mail": {"mask": "hmac"}, "ip": {"mask": "drop"}}


@pytest.fixture
def canaries() -> dict[str, str]:
    return {name: f"{name}-{random.token_hex(12)}" for name in ("good", "bad", "default", "ip")}


@pytest.fixture
def people(project: Project, canaries: dict[str, str]) -> Project:
    """A table ``t``, synced without masks: row 1 is good, row 2 fails its gate."""
    project.run(
        f"create table t (id int primary key, fee int, mail text default '{canaries['default']}', ip text)",
        f"insert into t values (1, 1, '{canaries['good']}', '{canaries['ip']}'), (2, -1, '{canaries['bad']}', '{canaries['ip']}')",
        "insert into t select i, i, 'm' || i, 'i' || i from generate_series(3, 60) i",
    )
    project.declare("t", "snapshot", key=["id"], expectations=[POSITIVE])
    assert daybreak(project, "sync", "shop").exit_code == 0
    return project


def found_in(project: Project, canaries: dict[str, str]) -> set[tuple[str, str]]:
    """Return which canaries stand in which files."""
    found = sweep_folder(project.home, canaries, without=[project.home / "catalog" / "shop.yaml"])
    return {(find.secret, find.place.partition(": ")[0].replace(str(project.home), "")) for find in found}


def forget(project: Project, *key: str) -> Forgotten:
    """Forget with the engine, and take the traces away, as a morning does."""
    source = project.settings.sources()[0]
    with open_engine(project.settings, SyncRequest(source, source.tables)) as engine:
        found = forget_row(engine, source.tables[0], key, "alice")
    enforce_retention(project.settings, open_mirror(project.settings.state_url))
    return found


def age(project: Project, sql: str, days: int) -> None:
    """Make entries of the warehouse older."""
    with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:
        connection.execute(sql, [datetime.now(UTC) - timedelta(days=days)])


def test_a_mask_that_comes_later_reaches_all_that_was_read_without_it(people: Project, canaries: dict[str, str]) -> None:
    assert {secret for secret, _ in found_in(people, canaries)} == set(canaries)  # so the sweep can fail
    people.declare("t", "snapshot", key=["id"], expectations=[POSITIVE], columns=MASKS)
    assert daybreak(people, "sync", "shop").exit_code == 0
    assert found_in(people, canaries) == set()
    assert people.ask("select count(*), count(distinct mail), min(length(mail)) from raw_shop.t") == [(59, 59, 64)]


def test_a_row_that_is_gone_from_the_source_is_forgotten_wherever_it_was_and_on_the_record(
    people: Project, canaries: dict[str, str]
) -> None:
    people.run("delete from t where id in (1, 2)", "alter table t alter mail drop default", "update t set ip = ''")
    good = forget(people, "1")
    assert good.entry
    assert (good.entry.counts.deleted, good.quarantine_entries, good.landed_loads) == (1, 0, 1)
    bad = forget(people, "2")
    assert bad.entry
    assert (bad.entry.counts.deleted, bad.quarantine_entries) == (0, 1)
    assert found_in(people, {name: canaries[name] for name in ("good", "bad")}) == set()
    record = "select source_name, table_name, keys, forgotten_by, quarantine_entries from daybreak.forgotten order by load_id"
    assert people.ask(record) == [("shop", "t", 1, "alice", 0), ("shop", "t", 1, "alice", 1)]
    assert people.ask("select load_id from daybreak.ledger order by load_id")[-2:] == [(good.entry.load_id,), (bad.entry.load_id,)]
    people.sync("t")
    people.check("t")
    again = forget(people, "1")
    assert again.entry
    assert again.entry.counts.deleted == 0


def test_a_row_that_is_in_the_source_still_is_not_forgotten_and_nothing_is_changed(people: Project) -> None:
    files, loads = people.files("t"), people.loads()
    with pytest.raises(PrerequisiteError, match="still in the source"):
        forget(people, "1")
    with pytest.raises(ConfigError, match="2 value"):
        forget(people, "1", "2")
    assert (people.files("t"), people.loads()) == (files, loads)
    assert people.ask("select count(*) from raw_shop.t where id = 1") == [(1,)]


def test_a_row_is_not_forgotten_while_another_run_may_have_read_it(people: Project) -> None:
    (plan,) = (people.home / "landing" / "shop" / "t").glob("*/plan.json")
    people.run("delete from t where id = 1")
    with plan.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(LoadConflict, match="another run is loading"):
            forget(people, "1")
    assert people.ask("select count(*) from raw_shop.t where id = 1") == [(1,)]


def test_the_command_says_why_it_forgot_nothing(people: Project) -> None:
    said = daybreak(people, "forget", "shop", "t", "1", "--no-run")
    assert (said.exit_code, said.tells("still in the source", "Nothing was changed", "Delete it in the source first")) == (2, True)


def test_only_the_newest_loads_keep_their_landed_files(people: Project) -> None:
    people.environment["DAYBREAK_KEEP_LOADS"] = "2"
    for fee in range(100, 104):
        people.run(f"update t set fee = {fee} where id = 3")
        people.sync("t")
    ledger = [row[0] for row in people.ask("select load_id from daybreak.ledger order by load_id")]
    assert len(ledger) == 5
    assert sorted({file.parent.name for file in people.files("t")}) == ledger[-2:]


def test_a_quarantined_row_is_kept_until_it_was_fixed_for_as_long_as_wanted(people: Project, canaries: dict[str, str]) -> None:
    bad = {"bad": canaries["bad"]}
    age(people, "update daybreak.quarantine set quarantined_at = $1", 400)
    enforce_retention(people.settings, open_mirror(people.settings.state_url))
    assert people.ask("select state from daybreak.quarantine") == [("open",)]  # open ones wait, however old
    people.run("update t set fee = 2, mail = 'mended' where id = 2")
    assert people.replay("t").good == 1
    for days, left in ((89, 1), (91, 0)):
        age(people, "update daybreak.quarantine set closed_at = $1", days)
        enforce_retention(people.settings, open_mirror(people.settings.state_url))
        assert people.ask("select count(*) from daybreak.quarantine") == [(left,)]
    people.environment["DAYBREAK_KEEP_LOADS"] = "1"
    people.sync("t")
    people.run("update t set fee = 3 where id = 2")
    people.sync("t")
    blocks = [file for file in sweep_folder(people.home, bad) if "landing" in file.place]
    assert not blocks


def test_the_landed_files_of_a_table_that_is_synced_no_more_go_after_a_week(people: Project) -> None:
    people.tables = []
    people.declare("u", "snapshot", key=["id"])
    for days, left in ((6, 1), (8, 0)):
        old = (datetime.now(UTC) - timedelta(days=days)).timestamp()
        for plan in (people.home / "landing").glob("*/*/*/plan.json"):
            os.utime(plan, (old, old))
        enforce_retention(people.settings, open_mirror(people.settings.state_url))
        assert len({file.parent for file in people.files("t")}) == left


def test_old_versions_of_a_dashboard_go_at_the_end_of_a_run(people: Project) -> None:
    people.environment["DAYBREAK_KEEP_VERSIONS"] = "2"
    page = people.home / "dashboards" / "morning.html"
    for number in range(5):
        publish(page, f"page {number}", keep_versions=9)
    assert len(list(page.parent.glob("versions/*"))) == 5
    enforce_retention(people.settings, open_mirror(people.settings.state_url))
    kept = sorted(path.read_text() for path in Path(page.parent / "versions").iterdir())
    assert (kept, page.read_text()) == (["page 3", "page 4"], "page 4")


def test_old_attempts_and_verdicts_go_from_the_mirror(people: Project) -> None:
    import sqlalchemy as sa

    from pipelines.state import tables as t

    mirror = open_mirror(people.settings.state_url)
    count = sa.select(sa.func.count()).select_from
    assert [mirror.read(count(table))[0][0] > 0 for table in (t.attempts, t.verdicts)] == [True, True]
    old = (datetime.now(UTC) - timedelta(days=91)).isoformat()
    mirror.write(sa.update(t.attempts).values(started_at=old), sa.update(t.verdicts).values(judged_at=old))
    enforce_retention(people.settings, mirror)
    assert [mirror.read(count(table))[0][0] for table in (t.attempts, t.verdicts)] == [0, 0]
    assert json.loads(daybreak(people, "status", "--json").text)[0]["rows"] == 59


@pytest.mark.parametrize("is_crashed", [False, True])
def test_another_mask_key_means_that_everything_is_hashed_again(project: Project, run: Run, is_crashed: bool) -> None:
    """A key that was lost or changed must not leave a column of two kinds of hashes, which would join with nothing."""
    project.run(
        "create table t (id int primary key, mail text, at timestamptz default now() - interval '1 h')",
        "insert into t (id, mail) select i, 'same' from generate_series(1, 40) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at", columns={"mail": {"mask": "hmac"}})
    project.sync("t")
    if is_crashed:
        project.run("update t set at = now() where id < 20")
        assert run(project, ("land.manifest", "after", 2))["code"] == DIED
    project.environment["DAYBREAK_MASK_KEY"] = "another key"
    project.run("update t set at = now() where id = 7")
    assert project.sync("t").outcome == "committed"
    assert project.ask("select count(distinct mail), count(*) from raw_shop.t") == [(1, 40)]
    assert project.sync("t").outcome == "unchanged"
