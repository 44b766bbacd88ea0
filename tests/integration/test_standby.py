"""A hot standby as the source: it cannot show what is open on its primary, so no cursor is trusted there."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pipelines.doctor.examine import examine
from pipelines.errors import PrerequisiteError
from tests.conftest import Project
from tests.debian_server import open_debian_server, open_standby


@dataclass(frozen=True)
class Pair:
    """A primary and its standby."""

    primary: str
    standby: str

    def run(self, *statements: str) -> None:
        """Run statements on the primary, and wait until the standby has them."""
        with psycopg.connect(self.primary, autocommit=True) as primary, psycopg.connect(self.standby, autocommit=True) as standby:
            for statement in statements:
                primary.execute(statement)  # type: ignore[arg-type]
            ((lsn,),) = primary.execute("select pg_current_wal_lsn()").fetchall()
            while standby.execute("select pg_last_wal_replay_lsn() < %s", [lsn]).fetchall() == [(True,)]:
                time.sleep(0.02)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with open_debian_server() as primary, open_standby(primary) as standby:
        yield Pair(primary.url, standby.url)


def test_on_a_standby_a_cursor_is_refused_and_other_modes_are_synced(pair: Pair, tmp_path: Path) -> None:
    project = Project(pair.standby, tmp_path / "home")
    pair.run(
        "create table t (id int primary key, at timestamptz default now())",
        "insert into t select i, '2026-03-01'::timestamptz + i * interval '6 h' from generate_series(1, 30) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    with psycopg.connect(pair.primary) as session:
        session.execute("select now()")  # it has begun and written nothing, so no snapshot lists it
        with pytest.raises(PrerequisiteError, match=r"standby.*primary"):
            project.sync("t")
        session.execute("insert into t values (100)")
    (found,) = [finding for finding in examine(project.settings.environment) if finding.subject == "role"]
    assert found.state == "problem"
    project.declare("t", "snapshot", key=["id"])
    pair.run("delete from t where id in (3, 100)")
    project.commit("t")
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01"})
    pair.run("delete from t where id = 4")
    project.commit("t")
