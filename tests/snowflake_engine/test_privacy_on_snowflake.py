"""A row that is forgotten is in no table on Snowflake, and nothing of it can be had by time travel."""

from pipelines.warehouses import open_warehouse
from tests.conftest import Project
from tests.integration.test_privacy import forget
from tests.snowflake.fixtures import Double, on_double

BAD = {"expect_column_values_to_not_be_null": {"column": "name"}, "on_failure": "quarantine"}


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
    ended = [one["sql"] for one in double.statements() if one["sql"].endswith("set data_retention_time_in_days = 0")]
    assert {'alter table if exists "RAW_SHOP"."T" set data_retention_time_in_days = 0'} <= set(ended)
    assert not any("ada@example.com" in one["sql"] or "bob@example.com" in one["sql"] for one in double.statements())
