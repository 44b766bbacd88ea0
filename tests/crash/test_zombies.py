"""L3, L4: a run that was stopped while another one completed, and a commit whose outcome nobody heard."""

from dataclasses import replace
from typing import Any

import pytest

from pipelines.errors import CommitUnknown, WarehouseUnavailable
from pipelines.sync.engine import sync_table
from pipelines.sync.load import LEDGER_TRIES
from pipelines.sync.model import LedgerEntry, StagedLoad
from pipelines.wiring import SyncRequest, open_engine
from tests.conftest import Project
from tests.crash.conftest import Forker

pytestmark = pytest.mark.slow


@pytest.fixture
def table(table: Project) -> Project:
    """The table has changed since it was loaded."""
    table.run("update t set name = 'new', at = now() where id < 10", "insert into t values (100, 'A')")
    return table


@pytest.mark.parametrize(("step", "moment"), [("read.chunk", "after"), ("claim", "before"), ("claim", "after"), ("commit", "before")])
def test_a_run_that_was_stopped_while_another_completed_changes_nothing_when_it_goes_on(
    table: Project, forker: Forker, step: str, moment: str
) -> None:
    with forker.stopped(table, (step, moment, 1)) as zombie:
        table.run("update t set name = 'newer', at = clock_timestamp() where id = 3")
        assert table.sync("t").outcome == "committed"
        table.check("t")
        rows, loads = sorted(table.warehouse_rows("t")), table.ask("select load_id from daybreak.ledger order by 1")
        assert zombie.wake() == 0
    assert sorted(table.warehouse_rows("t")) == rows
    assert table.ask("select load_id from daybreak.ledger order by 1") == loads
    table.run("insert into t values (101, 'B')")
    table.commit("t")


@pytest.mark.parametrize("step", ["load.rows", "commit.fence"])
def test_a_stopped_run_that_has_the_warehouse_open_is_named_and_finishes_later(table: Project, forker: Forker, step: str) -> None:
    table.environment["DAYBREAK_LOCK_WAIT_SECONDS"] = "1"
    with forker.stopped(table, (step, "after", 1)) as zombie:
        with pytest.raises(WarehouseUnavailable, match=rf"pid {zombie.pid} on .*load shop\.t"):
            table.sync("t")
        assert zombie.wake() == 0
    table.check("t")
    assert table.ask("select count(*) from daybreak.ledger") == [(2,)]
    assert table.sync("t").outcome == "unchanged"


def test_a_stopped_run_that_is_killed_in_the_end_leaves_what_the_other_run_committed(table: Project, forker: Forker) -> None:
    with forker.stopped(table, ("commit", "before", 1)):
        assert table.sync("t").outcome == "committed"
    table.check("t")
    assert table.sync("t").outcome == "unchanged"


class BrokenLine:
    """The real warehouse behind a connection that breaks around COMMIT, as a warehouse over a network has it."""

    def __init__(self, warehouse: Any, *, commits: bool, is_back_after: int = 0) -> None:
        self._warehouse, self._commits, self._deaf = warehouse, commits, is_back_after
        self.broken = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def commit(self, load: StagedLoad) -> LedgerEntry:
        if self.broken:
            entry: LedgerEntry = self._warehouse.commit(load)
            return entry
        self.broken += 1
        if self._commits:
            self._warehouse.commit(load)
        raise self._unknown(load.plan.load_id)

    def find_load(self, load_id: str) -> LedgerEntry | None:
        if self._deaf:
            self._deaf -= 1
            raise self._unknown(load_id)
        entry: LedgerEntry | None = self._warehouse.find_load(load_id)
        return entry

    @staticmethod
    def _unknown(load_id: str) -> CommitUnknown:
        return CommitUnknown("the connection broke.", safe="Only the ledger knows.", remedy="Run again.", load_id=load_id)


def sync_over(project: Project, **line: Any) -> str:
    source = project.settings.sources()[0]
    spec = source.table("t")
    with open_engine(project.settings, SyncRequest(source, (spec,))) as engine:
        broken: Any = BrokenLine(engine.warehouse, **line)
        return sync_table(replace(engine, warehouse=broken), spec).outcome


@pytest.mark.parametrize("deaf", [0, 1])
def test_a_commit_that_happened_though_its_connection_broke_is_found_in_the_ledger_and_not_repeated(table: Project, deaf: int) -> None:
    assert sync_over(table, commits=True, is_back_after=deaf) == "committed"
    assert table.ask("select count(*) from daybreak.ledger") == [(2,)]
    table.check("t")
    assert table.sync("t").outcome == "unchanged"


def test_a_commit_that_did_not_happen_is_said_to_be_unknown_and_its_landed_chunks_are_committed_by_the_retry(table: Project) -> None:
    with pytest.raises(CommitUnknown):
        sync_over(table, commits=False)
    assert table.ask("select count(*) from daybreak.ledger") == [(1,)]
    landed = set(table.files("t"))
    table.commit("t")
    assert table.ask("select count(*) from daybreak.ledger") == [(2,)]
    assert set(table.files("t")) == landed


def test_a_commit_that_happened_and_whose_ledger_cannot_be_asked_is_not_repeated_by_the_next_run(
    table: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.sync.load.time.sleep", lambda _: None)
    with pytest.raises(CommitUnknown):
        sync_over(table, commits=True, is_back_after=LEDGER_TRIES)
    rows = sorted(table.warehouse_rows("t"))
    assert table.sync("t").outcome == "unchanged"
    assert table.ask("select count(*) from daybreak.ledger") == [(2,)]
    assert sorted(table.warehouse_rows("t")) == rows
    table.check("t")
