"""The folder of a load while it is being made: two runs of one table begin at any moment."""

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pipelines.landing.cleaning import purge_orphans, purge_other_entries
from pipelines.landing.store import Landing
from pipelines.sync import codec
from pipelines.sync.model import LoadPlan, Observation, Window
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

NOW = datetime(2026, 3, 10, tzinfo=UTC)
SPEC = TableSpec("shop", "public", "t", "snapshot", ())
SCHEMA = TableSchema((Column("id", "bigint", pa.int64()),), "1/1/1")


def plan(load_id: str) -> LoadPlan:
    return LoadPlan(load_id, SPEC.id, codec.fingerprint(SPEC), None, Window(), Observation(NOW), SCHEMA, 1, NOW, is_stream=False)


def test_a_load_that_another_run_is_making_is_neither_deleted_nor_gone_on_with(tmp_path: Path) -> None:
    landing, is_over, taken = Landing(tmp_path), threading.Event(), []

    def look() -> None:
        while not is_over.is_set():
            purge_other_entries(landing, SPEC)
            with landing.reopen_load(SPEC) as unfinished:
                taken.extend([unfinished] if unfinished else [])

    others = [threading.Thread(target=look) for _ in range(2)]
    for other in others:
        other.start()
    try:
        for number in range(150):
            with landing.open_load(SPEC, plan(f"L{number:03d}")) as folder:
                assert (folder.path / "plan.json").exists()
                folder.discard()
    finally:
        is_over.set()
        for other in others:
            other.join()
    assert taken == []


def test_what_a_crash_left_of_a_load_that_was_being_made_is_deleted_with_time(tmp_path: Path) -> None:
    landing = Landing(tmp_path)
    half_made = landing.table_folder(SPEC) / ".L001"
    half_made.mkdir(parents=True)
    assert landing.loads(SPEC) == []
    assert purge_orphans(landing, [SPEC], datetime.now(UTC) - timedelta(days=1)) == 0
    os.utime(half_made, (0, 0))
    assert purge_orphans(landing, [SPEC], datetime.now(UTC) - timedelta(days=1)) == 1
    assert not half_made.exists()
