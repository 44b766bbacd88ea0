"""A row that is forgotten is in no table on Snowflake, and nothing of it can be had by time travel."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from pipelines.warehouses import open_warehouse
from pipelines.warehouses.snowflake_run import SnowflakeRun
from tests.conftest import Project
from tests.integration.test_privacy import forget
from tests.snowflake.fixtures import Double, on_double

BAD = {"expect_column_values_to_not_be_null": {"column": "name"}, "on_failure": "quarantine"}


def _database(project: Project) -> str:
    return urlsplit(project.environment["DAYBREAK_WAREHOUSE_URL"]).path.strip("/")


@on_double
def test_a_row_that_is_forgotten_is_gone_from_the_table_and_the_quarantine_and_their_past(project: Project, double: Double) -> None:
    project.run(
        "create table t (id int primary key, name text, email text, at timestamptz default now())",
        "insert into t values (1, 'a', 'ada@example.com'), (2, null, 'bob@example.com'), (3, 'c', 'eve@example.com')",
    )
    project.declare("t", "incremental", key=["id"], cursor="at", expectations=[BAD])
    project.commit("t")
    project.run("delete from t where id in (1, 2)")
    assert forget(project, "1").entry
    assert forget(project, "2").quarantine_entries == 1
    assert project.ask("select id from raw_shop.t") == [(3,)]
    assert project.ask("select count(*) from daybreak.quarantine") == [(0,)]
    assert open_warehouse(project.environment["DAYBREAK_WAREHOUSE_URL"], 10).traces() == "none"
    retentions = {one["sql"] for one in double.statements(_database(project)) if "data_retention_time_in_days" in one["sql"]}
    assert 'alter table if exists "RAW_SHOP"."T" set data_retention_time_in_days = 0' in retentions
    assert all(one.endswith(" = 0") for one in retentions), "what grows again keeps what is in time travel"
    assert not any("ada@example.com" in one["sql"] or "bob@example.com" in one["sql"] for one in double.statements())


@on_double
def test_traces_that_are_noted_while_others_are_erased_stay(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.run("create table t (id int primary key, email text)", "insert into t values (1, 'ada@example.com'), (2, 'bob@example.com')")
    project.declare("t", "snapshot", key=["id"])
    project.commit("t")
    project.declare("t", "snapshot", key=["id"], columns={"email": {"mask": "hmac"}})
    project.commit("t")
    warehouse = open_warehouse(project.environment["DAYBREAK_WAREHOUSE_URL"], 10)
    assert warehouse.traces() == "fresh"
    ask = SnowflakeRun.__call__

    def slow(self: SnowflakeRun, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
        found = ask(self, statement, **parameters)
        if statement.startswith("select source_name, table_name, noted_at from daybreak.traces"):
            ask(self, "insert into daybreak.traces (source_name, table_name, noted_at) select 'shop', 'u', current_timestamp()")
        return found

    monkeypatch.setattr(SnowflakeRun, "__call__", slow)
    warehouse.erase_traces(is_settled=True)
    assert project.ask("select table_name from daybreak.traces") == [("u",)]
