"""L5 on Snowflake: who reads the tables themselves, all the time, sees whole loads only, though loads are killed."""

import random
import threading
from typing import Any

import pytest

from tests.conftest import Project
from tests.crash.conftest import Run, forker, run
from tests.snowflake.fixtures import Double, connect, on_double

__all__ = ["forker", "run"]  # fixtures
ROWS = 20
STEPS = ("load.rows", "load.quarantine", "commit.ledger", "commit.fence", "commit.transaction", "commit.swap", "mirror")


class Reader:
    """Asks in a session of its own, without a pause, which rounds the table's rows are of."""

    def __init__(self, url: str) -> None:
        self._url, self._is_over = url, threading.Event()
        self.seen: list[tuple[Any, ...]] = []
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> "Reader":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _read(self) -> None:
        with connect(self._url) as connection, connection.cursor() as cursor:
            while not self._is_over.is_set():
                cursor.execute("select min(round), max(round), count(*) from raw_shop.t")
                self.seen += cursor.fetchall()


@on_double
@pytest.mark.parametrize("loads", [4, pytest.param(50, marks=pytest.mark.long)])
def test_a_reader_of_the_tables_sees_whole_loads_only(project: Project, run: Run, double: Double, loads: int) -> None:
    double.idle_after(0.5)
    project.run(
        "create table t (id int primary key, round int, note0 text, at timestamptz default now())",
        f"insert into t select i, 0, 'n' from generate_series(1, {ROWS}) i",
    )
    project.declare("t", "incremental", key=["id"], cursor="at")
    assert run(project, None)["code"] == 0
    choice = random.Random(11)
    with Reader(project.environment["DAYBREAK_WAREHOUSE_URL"]) as reader:
        for number in range(1, loads + 1):
            renames = [f"alter table t rename note{number // 3 - 1} to note{number // 3}"] if number % 3 == 0 else []
            project.run(*renames, f"update t set round = {number}, at = now()")
            run(project, (choice.choice(STEPS), choice.choice(("before", "after")), 1))
        assert run(project, None)["code"] == 0
    project.check("t")
    assert {count for *_, count in reader.seen} == {ROWS}
    assert all(least == greatest for least, greatest, _ in reader.seen)
    rounds = [least for least, *_ in reader.seen]
    assert rounds == sorted(rounds)
    assert rounds[-1] == loads
