"""The migrations of the shop's application: each changes what it tells, and the simulator lives on as in a shop without them.

Not here: what the simulator writes (`test_shop.py`), and what Daybreak makes of a changed source.
"""

import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.shop import simulator
from pipelines.shop.migrations import MIGRATIONS
from pipelines.shop.simulator import NotAShop, ShopAltered, ShopBusy, advance_shop, create_shop, list_applied, migrate_shop

pytestmark = pytest.mark.slow

TODAY = date(2026, 3, 10)
NAMES = [migration.name for migration in MIGRATIONS]
# How to read each table of `schema.sql`, and what to put in the place of a piece of it from some migration on.
TABLES = {
    "customers": "customer_id, email, full_name, country, segment, marketing_opt_in, created_at, updated_at",
    "addresses": "address_id, customer_id, kind, street, city, postcode, country, created_at",
    "products": "product_id, sku, name, category, unit_price, unit_cost, is_active, created_at",
    "orders": "order_id, customer_id, status, currency, shipping_fee, placed_at, updated_at",
    "order_items": "order_id, line_number, product_id, quantity, unit_price, discount, updated_at",
    "payments": "payment_id, order_id, method, amount, status, paid_at, updated_at",
    "events": "event_id, session_id, customer_id, event_type, device, country, email, ip, properties, occurred_at, received_at",
}
CHANGED = {
    "delivery_fee": ("orders", "shipping_fee", "delivery_fee"),
    "quantity_by_weight": ("order_items", "quantity", "trim_scale(quantity)"),
    "status_returned": ("orders", "status", "replace(status::text, 'returned', 'refunded')"),
    "full_name_dropped": ("customers", "full_name", "concat(first_name, ' ', last_name)"),
    "payments_renamed": ("payments", "payments", "order_payments"),
}
Content = dict[str, list[tuple[str | None, ...]]]


@pytest.fixture
def twins(postgres_server: str, postgres_url: str) -> Iterator[tuple[str, str]]:
    """Two equal shops with six weeks of history, so that orders have come back; one is to be migrated, the other never is."""
    create_shop(postgres_url, today=TODAY, days=42, events_per_day=300)
    name = f"twin_{os.getpid()}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name} template {psycopg.conninfo.conninfo_to_dict(postgres_url)['dbname']}")
        yield postgres_url, postgres_server.replace("/shop?", f"/{name}?")
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def shop_url(postgres_url: str) -> str:
    create_shop(postgres_url, today=TODAY, days=3, events_per_day=200)
    return postgres_url


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, options="-c timezone=UTC") as connection:
        return connection.execute(query).fetchall()


def read_content(url: str, applied: list[str]) -> Content:
    """Every row of every table as text, as it was before the migrations; and the identifiers that come next."""
    content: Content = {}
    changed = [CHANGED[name] for name in applied if name in CHANGED]
    for table, names in TABLES.items():
        here = {old: new for of_table, old, new in changed if of_table == table}
        columns = names.split(", ")
        place = here.get(table, table)
        row = ", ".join(here.get(column, column) for column in columns)
        content[table] = fetch(url, f"select row({row})::text from {place} order by 1")
        if table != "order_items":
            sequence = fetch(url, f"select pg_get_serial_sequence('{place}', '{columns[0]}')")[0][0]
            content[f"{table} sequence"] = fetch(url, f"select last_value::text, is_called::text from {sequence}")
    content["state"] = fetch(url, "select seed::text, first_day::text, today::text from simulator.state")
    return content


def read_columns(url: str, table: str) -> dict[str, str]:
    query = f"""select attname, format_type(atttypid, atttypmod) from pg_attribute
        where attrelid = '{table}'::regclass and attnum > 0 and not attisdropped"""
    return dict(fetch(url, query))


def test_a_shop_that_is_migrated_step_by_step_lives_as_its_twin_that_is_not(twins: tuple[str, str]) -> None:
    migrated, twin = twins
    for stage, name in enumerate(NAMES, start=1):
        before = fetch(migrated, "select customer_id, updated_at from customers order by 1")
        assert [migration.name for migration in migrate_shop(migrated)] == [name]
        assert fetch(migrated, "select customer_id, updated_at from customers order by 1") == before
        done, expected = (advance_shop(url, days=1, bad_rows=True) for url in twins)
        renamed = {"payments": "order_payments"} if "payments_renamed" in NAMES[:stage] else {}
        for counts, as_twin in zip(_counts(done), _counts(expected), strict=True):
            assert counts == {renamed.get(table, table): count for table, count in as_twin.items()}
        assert sum(done.bad_rows.values()) > 10
        content = read_content(migrated, NAMES[:stage])
        for table, rows in read_content(twin, []).items():
            assert content[table] == rows, f"{table} after {name}"
    assert list(list_applied(migrated)) == NAMES
    assert list_applied(twin) == {}


def _counts(summary: simulator.ShopSummary) -> tuple[Any, ...]:
    return summary.inserted, summary.updated, summary.deleted, summary.bad_rows


def test_days_after_all_migrations_at_once_are_those_of_a_shop_without(twins: tuple[str, str]) -> None:
    migrated, twin = twins
    assert migrate_shop(migrated, count=None) == MIGRATIONS
    for url in twins:
        advance_shop(url, days=5)
    assert read_content(migrated, NAMES) == read_content(twin, [])
    assert fetch(migrated, "select count(*) > 0 from orders where status = 'returned'") == [(True,)]
    assert fetch(migrated, "select count(*) > 0 from returns") == [(True,)]
    assert fetch(migrated, "select count(*) from customers where first_name is null or last_name is null") == [(0,)]


def test_every_migration_leaves_the_schema_that_it_tells_of(shop_url: str) -> None:
    schemas = {}
    for name in NAMES:
        migrate_shop(shop_url)
        tables = fetch(shop_url, "select tablename from pg_tables where schemaname = 'public'")
        schemas[name] = {table: read_columns(shop_url, table) for (table,) in tables}
        if name == "name_split":
            split = "select count(*) from customers where full_name = first_name || ' ' || last_name and last_name <> ''"
            assert fetch(shop_url, split) == fetch(shop_url, "select count(*) from customers")
        if name.startswith("package_size"):
            is_wider = fetch(shop_url, "select distinct width_cm > depth_cm from products")
            assert is_wider == [(name == "package_size_swapped",)]
    assert schemas["loyalty_tier"]["customers"]["loyalty_tier"] == "text"
    assert "shipping_fee" not in schemas["delivery_fee"]["orders"]
    assert schemas["package_size"]["products"] == schemas["package_size_swapped"]["products"]
    quantities = [schemas[name]["order_items"]["quantity"] for name in ("package_size", "quantity_bigint", "quantity_by_weight")]
    assert quantities == ["integer", "bigint", "numeric(22,3)"]
    assert [schemas[name]["orders"]["currency"] for name in ("quantity_by_weight", "currency_text")] == ["character(3)", "text"]
    assert "full_name" not in schemas["full_name_dropped"]["customers"]
    assert schemas["payments_renamed"].keys() == TABLES.keys() - {"payments"} | {"order_payments"}
    assert list(schemas["returns_table"]["returns"]) == ["return_id", "order_id", "reason", "returned_at"]
    assert migrate_shop(shop_url, count=None) == ()


def test_a_locked_table_is_told_and_nothing_is_half_done(shop_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "LOCK_WAIT_SECONDS", 1)
    before = read_columns(shop_url, "orders")
    with psycopg.connect(shop_url) as reader:
        reader.execute("select 1 from orders")
        with pytest.raises(ShopBusy, match=r"`delivery_fee`.* 1 s: .*Nothing of this migration was done.*Try again"):
            migrate_shop(shop_url, count=None)
    assert list(list_applied(shop_url)) == ["loyalty_tier"], "what was applied before stays, and is on record"
    assert read_columns(shop_url, "orders") == before
    assert [migration.name for migration in migrate_shop(shop_url)] == ["delivery_fee"]


def test_a_migration_that_something_of_somebody_else_hangs_on_is_told_and_undone(shop_url: str) -> None:
    migrate_shop(shop_url, count=4)
    with psycopg.connect(shop_url) as connection:
        connection.execute("create view pieces as select quantity from order_items")
    with pytest.raises(ShopAltered, match=r"(?s)used by a view.*Nothing of this migration.*Undo what was changed"):
        migrate_shop(shop_url, count=None)
    assert list(list_applied(shop_url)) == NAMES[:4]


def test_two_who_migrate_at_once_apply_each_migration_once(shop_url: str) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: migrate_shop(shop_url, count=None), range(2)))
    assert sorted(migration.name for applied in done for migration in applied) == sorted(NAMES)
    assert list(list_applied(shop_url)) == NAMES


def test_a_migration_during_a_day_waits_for_its_end(shop_url: str) -> None:
    with ThreadPoolExecutor(3) as pool:
        days = [pool.submit(advance_shop, shop_url, days=1) for _ in range(2)]
        applied = pool.submit(migrate_shop, shop_url, count=2).result()
    assert [migration.name for migration in applied] == NAMES[:2]
    assert sorted(day.result().today for day in days) == [TODAY + timedelta(days=1), TODAY + timedelta(days=2)]


def test_a_database_without_a_shop_is_not_migrated(postgres_url: str) -> None:
    for call in (migrate_shop, list_applied):
        with pytest.raises(NotAShop, match=r"(?s)no simulated shop.*Nothing was written"):
            call(postgres_url)
    assert fetch(postgres_url, "select to_regnamespace('simulator')") == [(None,)]


def test_the_command_line_lists_and_applies_the_migrations(tmp_path: Path) -> None:
    def daybreak(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["shop", *arguments], env={"DAYBREAK_HOME": str(tmp_path / "home"), "SHOP_DATABASE_URL": ""})

    refused = daybreak("migrate")
    assert (refused.exit_code, "daybreak shop start" in refused.output) == (2, True)
    try:
        assert daybreak("start", "--days", "1").exit_code == 0
        assert daybreak("migrate", "--all", "--count", "2").exit_code == 2
        told = daybreak("migrate").stdout
        assert MIGRATIONS[0].told in told
        assert "11 left" in told
        assert [row["name"] for row in json.loads(daybreak("migrate", "--count", "2", "--json").stdout)] == NAMES[1:3]
        listed = json.loads(daybreak("migrate", "--list", "--json").stdout)
        assert [(row["name"], row["applied_at"] is not None) for row in listed] == [(name, name in NAMES[:3]) for name in NAMES]
        assert daybreak("migrate", "--list").stdout.count("not applied yet") == 9
        assert len(daybreak("migrate", "--all").stdout.splitlines()) == 10
        again = daybreak("migrate", "--all")
        assert (again.exit_code, again.stdout) == (0, "Nothing is left to migrate: all 12 are applied.\n")
        assert "order_payments" in daybreak("advance", "--bad-rows").stdout
    finally:
        daybreak("stop")
