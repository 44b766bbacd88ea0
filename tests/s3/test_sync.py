"""Whole syncs whose loads are kept in a bucket."""

from typing import Any

import pytest

from pipelines.landing.bucket import Bucket
from tests.conftest import TODAY, Project
from tests.s3.conftest import names

MODES: dict[str, dict[str, Any]] = {
    "incremental": {"key": ["id"], "cursor": "at"},
    "snapshot": {"key": ["id"]},
    "partitioned": {"key": ["id"], "partition": {"column": "at", "start": "2026-01-01"}},
}


def make_table(project: Project, mode: str, rows: int = 20, **entry: Any) -> None:
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'old', '{TODAY}'::timestamptz - i * interval '1 h' from generate_series(1, {rows}) i",
    )
    project.declare("t", mode, **{**MODES[mode], **entry})


@pytest.mark.parametrize("mode", MODES)
def test_a_table_of_each_mode_syncs_through_a_bucket_and_leaves_nothing_here(landed: Project, bucket: Bucket, mode: str) -> None:
    make_table(landed, mode)
    landed.commit("t")
    assert len([name for name in names(bucket, "chunks/") if name.endswith(".parquet")]) >= 3
    assert landed.files("t") == []
    landed.run(f"update t set name = 'new', at = '{TODAY}'::timestamptz - interval '5 min' where id = 3")
    landed.commit("t")
    before = names(bucket)
    assert landed.sync("t").outcome == "unchanged"
    assert names(bucket) == before
