"""What a mirror knows of a warehouse that is not asked for nothing: enough, or it asks."""

from urllib.parse import urlsplit

import pytest

from tests.conftest import Project
from tests.crash.conftest import Run, forker, run
from tests.crash.crashing import DIED
from tests.snowflake.fixtures import Double, connect, on_double

__all__ = ["forker", "run"]  # fixtures


@on_double
@pytest.mark.parametrize("key", [[], ["id"]], ids=["keyless", "keyed"])
def test_a_commit_that_nobody_heard_of_is_not_forgotten_when_the_source_is_as_it_was(
    project: Project, run: Run, double: Double, key: list[str]
) -> None:
    double.idle_after(0.5)
    project.run("create table t (id int, state text)", "insert into t values (1, 'open')")
    project.run(*["alter table t add primary key (id)"] if key else [])
    project.declare("t", "snapshot", key=key)
    assert run(project, None)["code"] == 0
    project.run("update t set state = 'closed'")
    assert run(project, ("commit.transaction", "after", 1))["code"] == DIED
    project.run("update t set state = 'open'")
    assert run(project, None)["code"] == 0
    project.check("t")


def test_another_database_is_filled_though_the_source_has_nothing_new(project: Project) -> None:
    url = project.environment["DAYBREAK_WAREHOUSE_URL"]
    project.run("create table t (id int primary key, name text)", "insert into t values (1, 'a'), (2, 'b')")
    project.declare("t", "snapshot", key=["id"])
    project.environment["DAYBREAK_WAREHOUSE_URL"] = f"duckdb:///{project.home}/warehouse.duckdb"
    assert project.sync("t").outcome == "committed"
    project.environment["DAYBREAK_WAREHOUSE_URL"] = url
    assert project.sync("t").outcome == "committed"
    project.check("t")
    name = urlsplit(url).path.strip("/")
    other = url.replace(f"/{name}?", f"/{name}_2?")
    with connect(url) as connection:
        connection.cursor().execute(f"create database {name}_2")
        try:
            _move(project, other, back_to=url)
        finally:
            connection.cursor().execute(f"drop database {name}_2")


def _move(project: Project, other: str, back_to: str) -> None:
    project.environment["DAYBREAK_WAREHOUSE_URL"] = other
    assert project.sync("t").outcome == "committed"
    project.check("t")
    project.environment["DAYBREAK_WAREHOUSE_URL"] = back_to
    assert project.sync("t").outcome == "unchanged"
    project.check("t")
