"""A little of `make torture`, and that its proofs can fail."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from pipelines.state.mirror import Mirror
from tests.conftest import Project
from tests.crash.proofs import AGREED, BALANCED, ENDS_WELL, ONCE, PROOFS, SAME_ROWS, WHOLE_COPY, differences, torn
from tests.crash.torture import Plan, torture

pytestmark = pytest.mark.slow

SEED = 4


def test_a_few_kills_while_the_source_changes_lose_nothing(postgres_url: str, tmp_path: Path) -> None:
    found = torture(postgres_url, tmp_path, Plan(3, SEED, weights={"daybreak sync": 1}))
    assert found.problems == []
    assert found.kills.total() == 3
    assert all(found.proven[proof] for proof in (SAME_ROWS, BALANCED, AGREED, WHOLE_COPY, ENDS_WELL))


@pytest.mark.long
def test_kills_of_syncs_mornings_and_copies_lose_nothing(postgres_url: str, tmp_path: Path) -> None:
    found = torture(postgres_url, tmp_path, Plan(30, SEED + 1))
    assert found.problems == []
    assert all(found.proven[proof] for proof in PROOFS)


def spoil(sql: str) -> Callable[[Project], None]:
    def work(project: Project) -> None:
        with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:
            connection.execute(sql)

    return work


def lead(project: Project) -> None:
    """The mirror tells of a load that was never committed."""
    mirror = Mirror(project.settings.state_url)
    with mirror.engine.begin() as connection:
        connection.exec_driver_sql("update tables set load_id = '01JNEVER', total_rows = total_rows + 1")
    mirror.engine.dispose()


@pytest.mark.parametrize(
    ("proofs", "sabotage"),
    [
        ({SAME_ROWS, AGREED}, spoil("delete from raw_shop.t where id = '3'")),
        ({SAME_ROWS}, spoil("update raw_shop.t set name = 'x ' where id = 3")),
        ({SAME_ROWS}, spoil("drop table raw_shop.t")),
        ({BALANCED}, spoil("update daybreak.ledger set rows_unchanged = rows_unchanged + 1")),
        ({ONCE}, spoil("insert into daybreak.ledger from daybreak.ledger")),
        ({AGREED}, spoil("update daybreak.watermarks set load_id = '01JNEVER'")),
        ({AGREED}, lead),
    ],
)
def test_each_proof_fails_where_what_it_proves_does_not_hold(
    project: Project, proofs: set[str], sabotage: Callable[[Project], None]
) -> None:
    project.run("create table t (id int primary key, name text)", "insert into t select i, 'x' from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    project.sync("t")
    assert differences(project) == []
    sabotage(project)
    assert {proof for proof, _ in differences(project)} == proofs


@pytest.mark.parametrize("half", ["delete from raw_shop.t where id = 3", "update daybreak.watermarks set load_id = 'another'"])
def test_a_copy_that_is_not_one_committed_state_is_seen(project: Project, half: str) -> None:
    project.run("create table t (id int primary key)", "insert into t select i from generate_series(1, 20) i")
    project.declare("t", "snapshot", key=["id"])
    project.sync("t")
    with duckdb.connect(str(project.home / "warehouse.duckdb")) as connection:
        assert torn(connection) == []
        connection.execute(half)
        assert [proof for proof, _ in torn(connection)] == [WHOLE_COPY]
