"""The shop against a real embedded PostgreSQL: same seed, same shop; its books balance; its counts are exact.

Not here: the server itself (`test_shop_server.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest

from pipelines.shop.model import TABLE_NAMES
from pipelines.shop.server import DATABASE, open_shop_server
from pipelines.shop.simulator import NotAShop, ShopExists, advance_shop, create_shop

TODAY = date(2026, 3, 10)
DAYS = 5
EVENTS_PER_DAY = 200
KEYS = {name: 2 if name == "order_items" else 1 for name in TABLE_NAMES}
# A shop's rows by table and key, as text: psycopg has no datetime for infinity.
Content = dict[str, dict[tuple[str, ...], tuple[str | None, ...]]]


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with open_shop_server(tmp_path_factory.mktemp("shop") / "postgres") as url:
        yield url


@pytest.fixture
def empty_url(server_url: str) -> Iterator[str]:
    yield from make_database(server_url, "fresh")


@pytest.fixture
def other_url(server_url: str) -> Iterator[str]:
    yield from make_database(server_url, "other")


def make_database(server_url: str, name: str) -> Iterator[str]:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        yield server_url.replace(f"/{DATABASE}?", f"/{name}?")
        connection.execute(f"drop database {name} with (force)")


def create_small(url: str, today: date = TODAY, days: int = DAYS) -> None:
    create_shop(url, today=today, days=days, events_per_day=EVENTS_PER_DAY)


def fetch(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()


def read_content(url: str) -> Content:
    content: Content = {}
    with psycopg.connect(url) as connection:
        connection.execute("set timezone to 'UTC'")
        for table, width in KEYS.items():
            names = connection.execute(f"select * from {table} limit 0").description or []
            columns = ", ".join(f"{column.name}::text" for column in names)
            rows = connection.execute(f"select {columns} from {table}").fetchall()
            content[table] = {row[:width]: row for row in rows}
        state = connection.execute("select seed::text, first_day::text, today::text from simulator.state").fetchall()
        content["simulator.state"] = {("state",): state[0]}
        for table in set(TABLE_NAMES) - {"order_items"}:
            key = (connection.execute(f"select * from {table} limit 0").description or [])[0].name
            next_id = connection.execute(f"select nextval(pg_get_serial_sequence('{table}', '{key}'))::text").fetchall()
            content[f"{table} sequence"] = {("next",): next_id[0]}
    return content


def test_two_shops_of_one_seed_and_day_are_identical(empty_url: str, other_url: str) -> None:
    create_small(empty_url)
    create_small(other_url)
    assert read_content(empty_url) == read_content(other_url)


def test_another_seed_gives_another_shop(empty_url: str, other_url: str) -> None:
    create_small(empty_url)
    create_shop(other_url, seed=8, today=TODAY, days=DAYS, events_per_day=EVENTS_PER_DAY)
    assert read_content(empty_url)["events"] != read_content(other_url)["events"]


@pytest.mark.parametrize("bad_rows", [False, True])
def test_three_days_at_once_equal_three_single_days(empty_url: str, other_url: str, bad_rows: bool) -> None:
    for url in (empty_url, other_url):
        create_small(url)
    advance_shop(empty_url, days=3, bad_rows=bad_rows)
    for _ in range(3):
        advance_shop(other_url, days=1, bad_rows=bad_rows)
    assert read_content(empty_url) == read_content(other_url)


def test_days_of_history_equal_days_that_passed(empty_url: str, other_url: str) -> None:
    create_small(empty_url, today=date(2026, 3, 10), days=25)
    create_small(other_url, today=date(2026, 2, 20), days=7)
    advance_shop(other_url, days=18)
    assert read_content(empty_url) == read_content(other_url)


@pytest.mark.parametrize(("days", "bad_rows"), [(1, False), (1, True), (4, True)])
def test_summary_counts_are_the_difference_of_the_content(empty_url: str, days: int, bad_rows: bool) -> None:
    create_small(empty_url)
    before = read_content(empty_url)
    # The look at the sequences took a number from each; the simulator goes on after it, as any application would.
    summary = advance_shop(empty_url, days=days, bad_rows=bad_rows)
    after = read_content(empty_url)
    assert summary.today == date(2026, 3, 10 + days)
    for table in TABLE_NAMES:
        old, new = before[table], after[table]
        assert summary.inserted[table] == len(new.keys() - old.keys()) > 0
        assert summary.updated[table] == sum(new[key] != old[key] for key in new.keys() & old.keys())
        assert summary.deleted[table] == len(old.keys() - new.keys())
    for table in ("customers", "products", "orders"):
        assert summary.updated[table] > 0
    for table in ("addresses", "events"):
        assert summary.deleted[table] > 0


def test_summary_of_a_new_shop_counts_every_row(empty_url: str) -> None:
    summary = create_shop(empty_url, today=TODAY, days=DAYS, events_per_day=EVENTS_PER_DAY)
    content = read_content(empty_url)
    assert summary.inserted == {table: len(content[table]) for table in TABLE_NAMES}
    assert summary.first_day == date(2026, 3, 5)
    assert not any([*summary.updated.values(), *summary.deleted.values(), *summary.bad_rows.values()])


BAD_ROWS = {
    "customers": "segment = 'test' or created_at = 'infinity'",
    "addresses": "false",
    "products": "false",
    "orders": "customer_id is null or shipping_fee < 0",
    "order_items": "quantity <= 0",
    "payments": "status not in ('captured', 'refunded', 'failed')",
    "events": "event_type not in ('view', 'search', 'cart', 'purchase', 'support') or country !~ '^[A-Z]{2}$'",
}


def count_bad_rows(url: str) -> dict[str, int]:
    return {table: fetch(url, f"select count(*) from {table} where {rule}")[0][0] for table, rule in BAD_ROWS.items()}


def test_bad_rows_are_those_and_only_those_that_were_asked_for(empty_url: str) -> None:
    create_small(empty_url)
    advance_shop(empty_url, days=1)
    assert not any(count_bad_rows(empty_url).values())
    summary = advance_shop(empty_url, days=1, bad_rows=True)
    assert count_bad_rows(empty_url) == summary.bad_rows
    assert 12 <= sum(summary.bad_rows.values()) <= 24
    assert fetch(empty_url, "select count(*) from customers where created_at = 'infinity'") == [(1,)]
    kinds = "count(*) filter (where customer_id is null), count(*) filter (where shipping_fee < 0)"
    assert min(fetch(empty_url, f"select {kinds} from orders")[0]) > 0
    advance_shop(empty_url, days=2)
    assert count_bad_rows(empty_url) == summary.bad_rows


# Each query finds rows of a good shop that contradict one another.
CONTRADICTIONS = {
    "payments do not add up": """
        with totals as (
            select order_id, shipping_fee + sum(quantity * unit_price - discount) as total
            from orders join order_items using (order_id) where customer_id is not null and shipping_fee >= 0
            group by order_id
        ), paid as (select order_id, sum(amount) as paid from payments where status <> 'failed' group by order_id)
        select order_id, status, total, paid from orders join totals using (order_id) left join paid using (order_id)
        where coalesce(paid, 0) <> case when status in ('paid', 'shipped', 'delivered') then total else 0 end""",
    "signs of payments": """
        select * from payments where status <> 'unknown' and (amount < 0) <> (status = 'refunded')""",
    "an order without a purchase, or a purchase without an order": """
        select * from (select * from orders where customer_id is not null and shipping_fee >= 0) as placed
        full join (select * from events where event_type = 'purchase') as bought
        on order_id = (properties ->> 'order_id')::bigint and placed_at = occurred_at
            and bought.customer_id = placed.customer_id
        where order_id is null or event_id is null""",
    "an item that was not viewed and put into the cart before the purchase": """
        select * from events as bought join order_items on order_id = (bought.properties ->> 'order_id')::bigint
        where event_type = 'purchase' and not (
            exists (select from events as cart where cart.session_id = bought.session_id and cart.event_type = 'cart'
                and (cart.properties #>> '{item,product_id}')::bigint = product_id
                and (cart.properties #>> '{item,quantity}')::bigint = quantity
                and cart.occurred_at < bought.occurred_at)
            and exists (select from events as seen where seen.session_id = bought.session_id
                and seen.event_type = 'view' and (seen.properties #>> '{product,id}')::bigint = product_id
                and seen.occurred_at < bought.occurred_at))""",
    "a purchase of another total": """
        select * from events join (
            select order_id, shipping_fee + sum(quantity * unit_price - discount) as total
            from orders join order_items using (order_id) group by order_id
        ) as totals on order_id = (properties ->> 'order_id')::bigint
        where event_type = 'purchase' and (properties ->> 'total')::numeric <> total""",
    "late by more than two days": """
        select * from events where received_at < occurred_at or received_at::date - occurred_at::date > 2""",
    "an e-mail of nobody": "select * from events where (email is null) <> (customer_id is null)",
    "an event of somebody who is not there yet": """
        select * from customers join events using (customer_id) where occurred_at < created_at""",
    "an update before the creation": """
        select * from customers where updated_at < created_at and isfinite(created_at)""",
    "an order of somebody who is not there yet": """
        select * from customers join orders using (customer_id) where placed_at < created_at
            and segment <> 'test' and isfinite(created_at)""",
}


@pytest.fixture(scope="module")
def lived_in_url(server_url: str) -> Iterator[str]:
    for url in make_database(server_url, "lived_in"):
        create_small(url, days=40)
        advance_shop(url, days=3, bad_rows=True)
        advance_shop(url, days=2)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("alter database lived_in set timezone to 'UTC'")
            connection.execute("create index on events (session_id)")
        yield url


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_a_shop_does_not_contradict_itself(lived_in_url: str, contradiction: str) -> None:
    assert fetch(lived_in_url, CONTRADICTIONS[contradiction]) == []


def test_a_shop_has_everything_a_sync_must_cope_with(lived_in_url: str) -> None:
    assert len(fetch(lived_in_url, "select distinct status from orders")) == 6
    assert len(fetch(lived_in_url, "select distinct status from payments")) == 4
    assert fetch(lived_in_url, "select count(*) > 10 from events where received_at::date > occurred_at::date") == [(True,)]
    assert fetch(lived_in_url, "select count(*) > 0 from customers where full_name = 'Zoë Łukasz 渡辺'") == [(True,)]
    per_day = "select count(*) / 45 between 160 and 240 from events"
    assert fetch(lived_in_url, per_day) == [(True,)]


@pytest.mark.parametrize("bad_rows", [False, True])
def test_nothing_happens_in_the_simulated_future(empty_url: str, bad_rows: bool) -> None:
    create_small(empty_url)
    advance_shop(empty_url, days=2, bad_rows=bad_rows)
    instants = {
        "customers": "updated_at", "addresses": "created_at", "products": "created_at", "payments": "paid_at",
        "order_items": "updated_at", "orders": "updated_at", "events": "received_at",
    }  # fmt: skip
    for table, column in instants.items():
        latest = fetch(empty_url, f"select max({column}) < '2026-03-12T00:00:00Z' from {table}")
        assert latest == [(True,)], table
    assert fetch(empty_url, "select min(occurred_at) >= '2026-03-05T00:00:00Z' from events") == [(True,)]


def test_a_row_of_the_application_gets_the_next_id(empty_url: str) -> None:
    create_small(empty_url)
    insert = """insert into events (session_id, event_type, device, properties, occurred_at, received_at)
        values (gen_random_uuid(), 'view', 'mobile', '{}', '2026-03-09', '2026-03-09') returning event_id"""
    with psycopg.connect(empty_url) as connection:
        highest = connection.execute("select max(event_id) from events").fetchone()
        taken = connection.execute(insert).fetchone()
    assert highest is not None
    assert taken == (highest[0] + 1,)
    advance_shop(empty_url, days=1)


def test_a_second_shop_in_one_database_is_refused(empty_url: str) -> None:
    create_small(empty_url)
    before = read_content(empty_url)["events"]
    with pytest.raises(ShopExists, match="advance_shop"):
        create_small(empty_url)
    assert read_content(empty_url)["events"] == before


@pytest.mark.parametrize(
    "statement", ["create table orders (id int)", "create view totals as select 1", "create type mood as enum ('ok')",
                  "create schema simulator"]
)  # fmt: skip
def test_a_database_with_something_else_in_it_is_refused(empty_url: str, statement: str) -> None:
    with psycopg.connect(empty_url) as connection:
        connection.execute(statement)
    with pytest.raises(NotAShop, match="database of its own"):
        create_small(empty_url)
    with pytest.raises(NotAShop, match="create_shop"):
        advance_shop(empty_url, days=1)
    assert fetch(empty_url, "select to_regclass('public.customers')") == [(None,)]


def test_readers_see_a_day_whole_or_not_at_all(empty_url: str) -> None:
    create_small(empty_url)
    with psycopg.connect(empty_url) as blocker:
        blocker.execute("lock table events in share mode")
        with psycopg.connect(empty_url, autocommit=True) as admin:
            admin.execute("alter database fresh set lock_timeout to '200ms'")
            before = read_content(empty_url)["orders"]
            with pytest.raises(psycopg.errors.LockNotAvailable):
                advance_shop(empty_url, days=1)
    assert read_content(empty_url)["orders"] == before
