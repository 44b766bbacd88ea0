"""Keys of every kind, from the source to the warehouse: a row is loaded, or steps aside with its key, and never vanishes."""

import pytest

from tests.conftest import Project
from tests.contracts.test_source_keys import KEYS

pytestmark = pytest.mark.slow

# Those whose text sorts otherwise than they do, and those with keys that no warehouse type can hold.
TOLD = ("int4", "numeric", "numeric with a scale", "float8", "date", "timestamp", "timestamptz", "interval", "enum", "money", "oid", "inet")


@pytest.mark.parametrize("mode", ["snapshot", "incremental"])
def test_every_row_is_loaded_or_steps_aside_whatever_the_key_is(project: Project, mode: str) -> None:
    project.environment["DAYBREAK_CHUNK_ROWS"] = "3"
    cursor = {"cursor": "at"} if mode == "incremental" else {}
    for number, name in enumerate(TOLD):
        kind = KEYS[name]
        at = "at timestamptz default now()"
        project.run(*kind.setup, f"create table t{number} (v {kind.type_} primary key, {at})")
        for value in kind.values:
            project.run(f"insert into t{number} (v) values ({value})")
        project.declare(f"t{number}", mode, key=["v"], max_quarantined=10, **cursor)
        result = project.commit(f"t{number}")
        (entry,) = result.loads
        assert entry.counts.read == len(kind.values), name
        assert entry.chunks >= 3, name
    infinite = project.quarantine(f"t{TOLD.index('date')}")
    assert sorted(row["key"] for row in infinite) == ['["-infinity"]', '["infinity"]']
    # And once more: what is bad still is, and nothing is doubled.
    number = TOLD.index("date")
    project.run(f"insert into t{number} (v) values ('2026-01-09')", f"update t{number} set at = clock_timestamp() where v = 'infinity'")
    project.commit(f"t{number}")
    assert len(project.quarantine(f"t{number}")) == 2
