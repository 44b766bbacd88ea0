"""Sabotage inside the commit: a statement that loses a row makes the load not balance, and nothing of it is committed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import LandingCorrupt
from pipelines.sync.model import StagedLoad
from pipelines.warehouses import load_sql, open_warehouse
from tests.contracts.test_warehouse_contract import SPEC, stage

LOST: dict[str, tuple[str, Callable[[str], str]]] = {
    "a MERGE that skips an update": ("merge", lambda sql: sql.replace("using staged", "using (from staged where id <> 1) staged")),
    "a MERGE that skips an insert": ("merge", lambda sql: sql.replace("using staged", "using (from staged where id <> 3) staged")),
    "a MERGE that finds nothing to update": ("merge", lambda sql: sql.replace("when matched and (", "when matched and false and (")),
    "rows to load without one of them": ("accepted", lambda sql: f"select * from ({sql}) where id <> 3"),
    "rows to load without a new version": ("accepted", lambda sql: f"select * from ({sql}) where id <> 1"),
}


@pytest.mark.parametrize("may_repeat_keys", [False, True])
@pytest.mark.parametrize("lost", LOST)
def test_a_statement_that_loses_a_row_does_not_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: str, may_repeat_keys: bool
) -> None:
    warehouse = open_warehouse(f"duckdb:///{tmp_path}/w.duckdb", 10)
    warehouse.commit(stage(tmp_path, "L1", [1, 2], warehouse.claim(SPEC)))
    ids = [1, 2, 3, 2, 3] if may_repeat_keys else [1, 2, 3]

    def load() -> None:
        staged = stage(tmp_path, "L2", ids, warehouse.claim(SPEC), base="L1")
        entry = warehouse.commit(replace(staged, may_repeat_keys=may_repeat_keys))
        assert (entry.counts.inserted, entry.counts.updated, entry.counts.superseded) == (1, 2, len(ids) - 3)

    name, sabotage = LOST[lost]
    original = getattr(load_sql, name)
    with monkeypatch.context() as patched:
        patched.setattr(load_sql, name, lambda to, staged: sabotage(original(to, staged)))
        with pytest.raises(LandingCorrupt, match="does not balance"):
            load()
    assert [entry.load_id for entry in warehouse.read_state([SPEC.id]).entries] == ["L1"]
    load()
    unchanged = warehouse.commit(stage_again(tmp_path, warehouse.claim(SPEC)))
    assert (unchanged.counts.unchanged, unchanged.counts.updated) == (3, 0)


def stage_again(folder: Path, token: int) -> StagedLoad:
    """Return a load of just what the second one brought."""
    again = stage(folder, "L2", [1, 2, 3], token, base="L2")
    return replace(again, plan=replace(again.plan, load_id="L3"), watermark=replace(again.watermark, load_id="L3"))
