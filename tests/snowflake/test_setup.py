"""``deploy/snowflake``: its statements are ones that Snowflake has, and its grants are what loads and models need, and no more.

The double has no rights (CONFORMANCE.md), so who may do what is worked out here, by Snowflake's rules for grants on future objects.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.state_tables import state_ddl
from tests.conftest import Project
from tests.snowflake.fixtures import Double, connect, on_double

FOLDER = Path(__file__).parents[2] / "deploy" / "snowflake"
DATABASE = "ANALYTICS"
LOADER, TRANSFORMER, READER, RUN = "DAYBREAK_LOADER", "DAYBREAK_TRANSFORMER", "DAYBREAK_READER", "DAYBREAK_RUN"
# What sqlglot takes for a command that it does not know, spelled out: a slip of the pen is still found.
_WORD = r"(?:'[^']*'|\w+|\(\))"
UNKNOWN = (
    r"create role if not exists DAYBREAK_\w+ comment = '[^']+'",
    r"grant role \w+ to (?:role|user) \w+",
    r"create user if not exists DAYBREAK_\w+"
    rf"(?: (?:type|rsa_public_key|default_role|default_secondary_roles|default_warehouse|comment) = {_WORD})+",
    r"create resource monitor if not exists DAYBREAK with credit_quota = \d+ frequency = MONTHLY start_timestamp = IMMEDIATELY"
    r" triggers(?: on \d+ percent do (?:notify|suspend|suspend_immediate))+",
    r"alter warehouse DAYBREAK_\w+ set resource_monitor = DAYBREAK",
    r"grant (?:ownership|usage|select) on future (?:schemas|tables|views) in (?:database|schema) [A-Z.]+ to role \w+",
    r"grant ownership on schema [A-Z.]+ to role \w+ copy current grants",
)
GRANT = re.compile(
    r"grant (?P<privilege>[a-z ]+) on (?P<is_future>future )?(?P<kind>\w+?)s?(?: in (?P<scope>\w+))? (?P<name>[A-Z_.]+)"
    r" to role (?P<role>\w+)(?: copy current grants)?"
)
# What statements of a kind take: a privilege on the database, on the schemas or on the tables that they name; what is temporary is made
# in schema daybreak. A table's owner may read it, change its rows and columns, comment, clone, rename, swap and drop it.
ON_TABLES = ("ownership", "table")
IN_SCHEMA = ("ownership", "schema")
LOADS: dict[str, tuple[str, str] | None] = {
    "create schema": ("create schema", "database"),
    "use schema": IN_SCHEMA,
    "create transient table": IN_SCHEMA,
    "create or replace transient table": IN_SCHEMA,
    "create or replace temporary table": IN_SCHEMA,
    "create or replace temporary view": IN_SCHEMA,
    "create or replace temporary stage": IN_SCHEMA,
    "drop view": IN_SCHEMA,
    "grant ownership": ON_TABLES,
    "put": IN_SCHEMA,
    "copy into": IN_SCHEMA,
    "alter table": ON_TABLES,
    "comment on": ON_TABLES,
    "delete from": ON_TABLES,
    "drop table": ON_TABLES,
    "insert into": ON_TABLES,
    "merge into": ON_TABLES,
    "select": ON_TABLES,
    "update": ON_TABLES,
    "alter session": None,
    "begin": None,
    "commit": None,
    "rollback": None,
}
# What dbt sends, by dbt-snowflake's macros: of the raw tables and of Daybreak's own it only reads.
BUILDS = [
    ("usage", "schema", "RAW_SHOP"),  # show objects, describe
    ("select", "table", "RAW_SHOP.ORDERS"),
    ("usage", "schema", "DAYBREAK"),
    ("select", "table", "DAYBREAK.FORMER_NAMES"),  # the macro former_names
    ("select", "table", "DAYBREAK.WINDOWS"),  # the macro daybreak_windows
    ("ownership", "schema", "STAGING"),  # create or replace view, temporary tables of unit tests
    ("ownership", "view", "STAGING.STG_SHOP__ORDERS"),  # comment, drop
    ("ownership", "table", "STAGING.A_SEED"),
    ("ownership", "schema", "MARTS"),  # create or replace table
    ("ownership", "table", "MARTS.ORDERS"),  # insert, merge, alter, rename, comment
    ("ownership", "view", "MARTS.A_VIEW"),
]


def statements(*files: str) -> list[str]:
    text = "".join((FOLDER / file).read_text(encoding="utf-8") for file in files)
    bare = re.sub(r"--[^\n]*", "", text)
    return [" ".join(one.split()) for one in bare.split(";") if one.strip()]


@dataclass(frozen=True)
class Grants:
    """Who may do what, once every object was made by a role that may make it."""

    grants: tuple[dict[str, str], ...]
    has: dict[str, set[str]]

    def find(self, role: str, privilege: str, kind: str, name: str) -> list[dict[str, str]]:
        """Return the grants by which a role may do something with an object; its owner may do everything."""
        roles = {role} | self.has.get(role, set())
        return [one for one in self._on(kind, name) if one["role"] in roles and one["privilege"] in (privilege, "ownership")]

    def _on(self, kind: str, name: str) -> Iterator[dict[str, str]]:
        schema = name.rpartition(".")[0]
        of_kind = [one for one in self.grants if one["kind"] == kind]
        yield from (one for one in of_kind if not one["is_future"] and one["name"] == name)
        if f"create schema if not exists {name}" in statements("setup.sql"):
            return  # it was there before the grants on what is to come
        future = [one for one in of_kind if one["is_future"]]
        # Those of a schema put those of the database out of force, whatever roles they are for.
        of_schema = [one for one in future if one["name"] == schema and one["scope"] == "schema"]
        yield from of_schema or (one for one in future if one["scope"] == "database")


@pytest.fixture(scope="module")
def grants() -> Grants:
    found, has = [], {}
    for statement in statements("setup.sql", "readers.sql"):
        if role := re.fullmatch(r"grant role (\w+) to role (\w+)", statement):
            has.setdefault(role[2], set()).add(role[1])
        elif statement.startswith("grant ") and not statement.startswith("grant role "):
            match = GRANT.fullmatch(statement)
            assert match, statement
            found.append({name: value or "" for name, value in match.groupdict().items()})
    return Grants(tuple(found), has)


@pytest.mark.parametrize("file", ["setup.sql", "readers.sql"])
def test_every_statement_is_one_that_snowflake_has(file: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "sqlglot")  # which warns of each command that it does not know
    for statement in statements(file):
        if isinstance(sqlglot.parse_one(statement, dialect="snowflake"), exp.Command):
            assert any(re.fullmatch(known, statement) for known in UNKNOWN), statement


@on_double
def test_the_files_can_be_run_again(snowflake_url: str) -> None:
    mine = snowflake_url.split("/")[3].partition("?")[0]
    with connect(snowflake_url) as connection:
        for statement in 2 * statements("setup.sql", "readers.sql"):
            connection.cursor().execute(statement.replace(DATABASE, mine))


def test_what_is_made_is_made_if_it_is_not_there_and_nothing_is_taken_away() -> None:
    made = [statement for statement in statements("setup.sql", "readers.sql") if statement.startswith("create ")]
    assert made
    assert [statement for statement in made if " if not exists " not in statement] == []
    words = {statement.split()[0] for statement in statements("setup.sql", "readers.sql")}
    assert words == {"use", "create", "alter", "grant"}


def test_warehouses_end_by_themselves_and_have_a_limit_of_time_and_money() -> None:
    sent = statements("setup.sql")
    warehouses = [statement for statement in sent if statement.startswith("create warehouse")]
    assert len(warehouses) == 2
    for statement in warehouses:
        name = statement.split()[5]
        for setting in ("XSMALL", "auto_suspend = 60", "initially_suspended = TRUE", "statement_timeout_in_seconds = 3600"):
            assert setting in statement
        assert f"alter warehouse {name} set resource_monitor = DAYBREAK" in sent


def test_service_users_have_a_key_and_no_password_and_one_role() -> None:
    sent = statements("setup.sql")
    users = [statement for statement in sent if statement.startswith("create user")]
    assert len(users) == 2
    for statement in users:
        name, role = statement.split()[5], re.search(r"default_role = (\w+)", statement)
        assert role
        assert "type = SERVICE" in statement
        assert re.search(r"rsa_public_key = '<\w+_PUBLIC_KEY>'", statement)
        assert "default_secondary_roles = ()" in statement
        assert "password" not in statement
        assert [one for one in sent if one.endswith(f" to user {name}")] == [f"grant role {role[1]} to user {name}"]


@on_double
def test_for_every_statement_of_a_load_there_is_a_grant(
    grants: Grants, postgres_url: str, snowflake_url: str, double: Double, tmp_path: Path
) -> None:
    sent = [one["sql"] for one in double.statements()]
    project = Project(postgres_url, tmp_path / "home", {"DAYBREAK_WAREHOUSE_URL": snowflake_url})
    load_in_every_way(project)
    kinds = set()
    for statement in [one["sql"] for one in double.statements()][len(sent) :]:
        text = re.sub(r"--[^\n]*", "", statement).strip()
        kind = next((kind for kind in sorted(LOADS, key=len, reverse=True) if re.match(rf"{kind}\b", text, re.IGNORECASE)), None)
        assert kind, f"a load sends what no grant was thought of for: {text}"
        kinds.add(kind)
        for privilege, object_kind, name in needs(kind, text):
            assert grants.find(LOADER, privilege, object_kind, name), text
            assert grants.find(RUN, privilege, object_kind, name), text
    assert kinds >= LOADS.keys() - {"rollback"}


def needs(kind: str, text: str) -> Iterator[tuple[str, str, str]]:
    if not (need := LOADS[kind]):
        return
    privilege, on = need
    named = {f"{schema or own}".upper() for schema, own in re.findall(r'"(RAW_\w+)"\.|\b(daybreak)\.', text)} or {"DAYBREAK"}
    for schema in named:
        name = {"database": DATABASE, "schema": f"{DATABASE}.{schema}", "table": f"{DATABASE}.{schema}.A_TABLE"}[on]
        yield privilege, on, name


def load_in_every_way(project: Project) -> None:
    """A first load, a merge, a column that comes, a swap, a day, and a key of another kind."""
    project.run(
        "create table orders (order_id bigint primary key, total int, updated_at timestamptz not null default now())",
        "create table events (event_id bigint primary key, occurred_on date)",
        "insert into orders values (1, 1), (2, 2)",
        "insert into events values (1, '2026-03-08')",
    )
    project.declare("orders", "incremental", key=["order_id"], cursor="updated_at")
    project.declare("events", "partitioned", key=["event_id"], partition={"column": "occurred_on", "by": "day", "start": "2026-03-08"})
    project.sync("events")
    project.sync("orders")
    for change in ("update orders set total = 3", "alter table orders add column note text", "alter table orders rename note to remark"):
        project.run(change, "update orders set total = total + 1, updated_at = now()")
        project.sync("orders")


def test_what_dbt_does_there_are_grants_for(grants: Grants) -> None:
    for privilege, kind, name in BUILDS:
        for role in (TRANSFORMER, RUN):
            assert grants.find(role, privilege, kind, f"{DATABASE}.{name}"), (role, privilege, name)


def test_who_computes_may_use_a_warehouse_and_the_database(grants: Grants) -> None:
    for role, warehouse in ((LOADER, "DAYBREAK_LOADING"), (TRANSFORMER, "DAYBREAK_TRANSFORMING"), (READER, "DAYBREAK_TRANSFORMING")):
        assert grants.find(role, "usage", "warehouse", warehouse)
        assert grants.find(role, "usage", "database", DATABASE)


def test_nobody_may_more_than_that(grants: Grants) -> None:
    for privilege in ("select", "usage", "ownership"):
        assert not grants.find(LOADER, privilege, "table", f"{DATABASE}.MARTS.ORDERS")
        assert not grants.find(LOADER, privilege, "view", f"{DATABASE}.STAGING.STG_SHOP__ORDERS")
        assert not grants.find(LOADER, privilege, "schema", f"{DATABASE}.MARTS")
        assert not grants.find(READER, privilege, "table", f"{DATABASE}.RAW_SHOP.ORDERS")
        assert not grants.find(READER, privilege, "schema", f"{DATABASE}.STAGING")
        for table in ("QUARANTINE", "SCHEMA_VERSIONS", "WATERMARKS"):
            assert not grants.find(READER, privilege, "table", f"{DATABASE}.DAYBREAK.{table}")
    for role in (TRANSFORMER, READER):
        assert not grants.find(role, "create schema", "database", DATABASE)
        assert not grants.find(role, "ownership", "table", f"{DATABASE}.RAW_SHOP.ORDERS")
        assert not grants.find(role, "ownership", "table", f"{DATABASE}.DAYBREAK.LEDGER")
    assert not grants.find(READER, "ownership", "table", f"{DATABASE}.MARTS.ORDERS")


def test_the_reader_reads_marts_and_what_is_known_of_loads(grants: Grants) -> None:
    assert grants.find(READER, "usage", "schema", f"{DATABASE}.MARTS")
    assert grants.find(READER, "select", "table", f"{DATABASE}.MARTS.ORDERS")
    assert grants.find(READER, "select", "view", f"{DATABASE}.MARTS.A_VIEW")
    assert grants.find(READER, "usage", "schema", f"{DATABASE}.DAYBREAK")
    state = "\n".join(state_ddl(SnowflakeDialect()))
    for statement in statements("readers.sql"):
        if table := re.match(rf"grant select on table {DATABASE}\.DAYBREAK\.(\w+) ", statement):
            assert f"daybreak.{table[1].lower()} (" in state
            assert grants.find(READER, "select", "table", f"{DATABASE}.DAYBREAK.{table[1]}")
