"""What every Warehouse must keep: another implementation joins by one more way to open it."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LandingCorrupt, LoadConflict
from pipelines.sync.model import LoadPlan, Observation, StagedFile, StagedLoad, Watermark, Window
from pipelines.sync.protocols import UNFIT_COLUMN, Warehouse
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses import open_warehouse

SPEC = TableSpec("shop", "public", "t", "snapshot", key=("id",))
SCHEMA = TableSchema((Column("id", "bigint", pa.int64(), False, 1), Column("name", "text", pa.string(), True, 2)), "1", has_unique_key=True)
NOW = datetime(2026, 3, 10, tzinfo=UTC)


@pytest.fixture(params=["duckdb", "snowflake"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Warehouse:
    url = request.getfixturevalue("snowflake_url") if request.param == "snowflake" else f"duckdb:///{tmp_path}/w.duckdb"
    return open_warehouse(url, 10)


def stage(folder: Path, load_id: str, ids: list[int], token: int, base: str | None = None) -> StagedLoad:
    """Return a load of rows whose names are the load's id."""
    file = folder / f"{load_id}.parquet"
    rows = {"id": pa.array(ids, pa.int64()), "name": pa.array([load_id] * len(ids)), UNFIT_COLUMN: pa.nulls(len(ids), pa.string())}
    pq.write_table(pa.table(rows), file)
    return StagedLoad(
        plan=LoadPlan(load_id, SPEC.id, "", base, Window(), Observation(NOW), SCHEMA, 1, NOW, False),
        spec=SPEC,
        columns=SCHEMA.columns,
        changes=(),
        files=(StagedFile(str(file), len(ids)),),
        chunks=(),
        rows_read=len(ids),
        watermark=Watermark(load_id=load_id),
        days=(),
        skipped_days=(),
        time_zone="UTC",
        token=token,
        may_repeat_keys=False,
    )


def test_a_load_and_all_that_is_known_of_it_are_visible_together(warehouse: Warehouse, tmp_path: Path) -> None:
    entry = warehouse.commit(stage(tmp_path, "L1", [1, 2, 3], warehouse.claim(SPEC)))
    assert (entry.counts.inserted, entry.total_rows) == (3, 3)
    state = warehouse.read_state([SPEC.id])
    assert state.entries == (entry,)
    assert state.watermarks[SPEC.id].load_id == "L1"
    newest = state.newest(SPEC.id)
    assert newest
    assert (newest.version, newest.schema) == (1, SCHEMA)
    assert warehouse.find_load("L1") == entry
    assert warehouse.find_load("L2") is None


def test_an_older_token_or_another_base_cannot_commit_and_leaves_nothing(warehouse: Warehouse, tmp_path: Path) -> None:
    old = warehouse.claim(SPEC)
    token = warehouse.claim(SPEC)
    with pytest.raises(LoadConflict):
        warehouse.commit(stage(tmp_path, "L1", [1], old))
    assert warehouse.read_state([SPEC.id]).entries == ()
    warehouse.commit(stage(tmp_path, "L2", [1], token))
    with pytest.raises(LoadConflict):
        warehouse.commit(stage(tmp_path, "L3", [1], warehouse.claim(SPEC), base=None))
    entry = warehouse.commit(stage(tmp_path, "L4", [1, 2], warehouse.claim(SPEC), base="L2"))
    assert (entry.counts.inserted, entry.counts.updated) == (1, 1)


@pytest.mark.parametrize("change", [{"rows_read": 4}, {"rows_read": 2}, {"ids": [1, 1, 2]}, {"excluded": (0,)}])
def test_a_load_that_does_not_balance_does_not_commit(warehouse: Warehouse, tmp_path: Path, change: dict[str, object]) -> None:
    change = dict(change)  # it is every warehouse's
    warehouse.commit(stage(tmp_path, "L1", [9], warehouse.claim(SPEC)))
    load = stage(tmp_path, "L2", change.pop("ids", [1, 2, 3]), warehouse.claim(SPEC), base="L1")  # type: ignore[arg-type]
    if excluded := change.pop("excluded", None):
        change["files"] = (replace(load.files[0], aside_rows=len(excluded)),)  # stepped aside, and in no quarantine
    if not change:
        load = replace(load, may_repeat_keys=False)
    with pytest.raises(LandingCorrupt, match="does not balance"):
        warehouse.commit(replace(load, **change))  # type: ignore[arg-type]
    state = warehouse.read_state([SPEC.id])
    assert [entry.load_id for entry in state.entries] == ["L1"]
    assert state.watermarks[SPEC.id].load_id == "L1"


def test_an_empty_table_is_made_once_and_a_comment_is_a_version(warehouse: Warehouse) -> None:
    assert warehouse.ensure_table(SPEC, SCHEMA, "held") == 1
    assert warehouse.ensure_table(SPEC, SCHEMA, "held") == 1
    assert warehouse.ensure_table(SPEC, replace(SCHEMA, comment="x"), "held") == 2
    other = replace(SCHEMA, columns=SCHEMA.columns[:1])
    assert warehouse.ensure_table(SPEC, other, "held") == 2
    assert warehouse.read_state([SPEC.id]).watermarks == {}


def test_an_identity_is_the_warehouses_own_and_stays(warehouse: Warehouse) -> None:
    assert warehouse.read_state([]).warehouse_id == warehouse.read_state([]).warehouse_id != ""
