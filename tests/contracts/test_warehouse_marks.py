"""What every Warehouse must keep of rows that stay with the mark of a deleted one."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.sync.model import Counts, LedgerEntry, StagedLoad, Watermark, Window
from pipelines.sync.protocols import Warehouse
from pipelines.sync.sides import Cut, HashedRow, Marked, Scope
from tests.contracts.test_warehouse_contract import SCHEMA, SPEC, stage, warehouse

__all__ = ["warehouse"]  # the fixture: each implementation

pytestmark = pytest.mark.slow
MARKING = replace(SPEC, mode="incremental", cursor="id", deletes="reconcile", deleted_rows="mark")


def load(folder: Path, number: int, ids: list[int], token: int) -> StagedLoad:
    """Return the table's load of a number, which stands on the one before, with rows as the first load had them."""
    plain = stage(folder, "L1", ids, token)
    plan = replace(plain.plan, load_id=f"L{number}", base_load_id=f"L{number - 1}" if number > 1 else None)
    return replace(plain, plan=plan, spec=MARKING, watermark=Watermark(load_id=plan.load_id, has_marks=True))


def asking(load: StagedLoad, *keys: int, **more: object) -> StagedLoad:
    """Return the load as one that asked for rows by key."""
    window = Window(keys=tuple((str(key),) for key in keys))
    return replace(load, plan=replace(load.plan, window=window), removes_missing=True, **more)  # type: ignore[arg-type]


class Marks:
    """Loads of one table, one after the other, and what stands in it."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self._warehouse, self._folder, self._number = warehouse, folder, 0
        self.commit([1, 2, 3])

    def commit(self, ids: list[int], *asked: int, **more: object) -> LedgerEntry:
        self._number += 1
        found = load(self._folder, self._number, ids, self._warehouse.claim(MARKING))
        return self._warehouse.commit(asking(found, *asked, **more) if asked else replace(found, **more))  # type: ignore[arg-type]

    def standing(self, marked: Marked) -> dict[str, str]:
        """Return the hashes of what a comparison sees, by key."""
        side = self._warehouse.side()
        scope = Scope(MARKING, SCHEMA, SCHEMA.columns, Cut("hash"), 10, value="9", marked=marked)
        listed = side.list_rows(replace(scope, only=("/",)), ())
        assert sum(digest.rows for digest in side.hash_buckets(scope, ()).values()) == len(listed) == side.measure(scope)[0]
        asked = [HashedRow(row.key, row.key_hash, "") for row in side.list_rows(replace(scope, only=("/",), marked="none"), ())]
        assert sorted(side.find_rows(scope, asked), key=str) == sorted(listed, key=str)
        return {row.key[0]: row.row_hash for row in listed}

    def count(self) -> int:
        return self._warehouse.side().count_marked(Scope(MARKING, SCHEMA, SCHEMA.columns, Cut("hash"), 10))


@pytest.fixture
def marks(warehouse: Warehouse, tmp_path: Path) -> Marks:
    return Marks(warehouse, tmp_path)


def test_what_is_gone_is_marked_once_and_is_no_part_of_the_table(marks: Marks) -> None:
    entry = marks.commit([3], 1, 3)
    assert (entry.counts, entry.total_rows) == (Counts(read=1, unchanged=1, deleted=1), 2)
    again = marks.commit([], 1)
    assert (again.counts, again.total_rows, marks.count()) == (Counts(read=0), 2, 1)
    assert set(marks.standing("gone")) == {"2", "3"}


def test_an_equal_row_that_is_back_is_inserted_and_loses_its_mark(marks: Marks) -> None:
    before = marks.standing("gone")
    marks.commit([], 1, 2, 3)
    assert marks.standing("gone") == {}
    entry = marks.commit([1, 2])
    assert (entry.counts, entry.total_rows, marks.count()) == (Counts(read=2, inserted=2), 2, 1)
    assert marks.commit([1, 2]).counts == Counts(read=2, unchanged=2)
    assert marks.standing("gone") == {key: before[key] for key in ("1", "2")}


def test_where_marks_are_not_wanted_a_marked_row_is_like_none_of_the_source(marks: Marks) -> None:
    before = marks.standing("none")
    marks.commit([], 1)
    assert marks.standing("none") == before
    unlike = marks.standing("unlike")
    assert {key for key in before if before[key] != unlike[key]} == {"1"}


@pytest.mark.parametrize("why", [{"forgotten_by": "alice"}, {"spec": replace(MARKING, deleted_rows="remove")}])
def test_a_row_that_is_forgotten_or_removed_goes_marked_or_not(marks: Marks, why: dict[str, object]) -> None:
    marks.commit([], 1)
    entry = marks.commit([], 1, 2, **why)
    assert (entry.counts, entry.total_rows, marks.count()) == (Counts(read=0, deleted=2), 1, 0)
