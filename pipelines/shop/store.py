"""The simulated shop's way into PostgreSQL and back: read what the simulator must know, write what a day changed.

Runs inside the caller's transaction. Not here: what changes, and when to commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, LiteralString

from psycopg import Connection
from psycopg.sql import SQL, Composed, Identifier

from pipelines.shop.layout import Layout, arrange_rows
from pipelines.shop.migrations import Migration
from pipelines.shop.model import (
    ONE_DAY,
    TABLE_NAMES,
    Customer,
    DayChanges,
    OpenOrder,
    Product,
    Row,
    Shop,
    make_midnight,
)
from pipelines.shop.orders import LONGEST_LIFE, draw_steps
from pipelines.shop.visits import ERASABLE_TYPES

ShopConnection = Connection[tuple[Any, ...]]

# The rows' columns, in order, under the names of `schema.sql`; `Layout` knows those that migrations gave them.
COLUMNS = {
    "customers": "customer_id email full_name country segment marketing_opt_in created_at updated_at",
    "addresses": "address_id customer_id kind street city postcode country created_at",
    "products": "product_id sku name category unit_price unit_cost is_active created_at",
    "orders": "order_id customer_id status currency shipping_fee placed_at updated_at",
    "order_items": "order_id line_number product_id quantity unit_price discount updated_at",
    "payments": "payment_id order_id method amount status paid_at updated_at",
    "events": "event_id session_id customer_id event_type device country email ip properties occurred_at received_at",
}
# What is updated in place: the key, then the columns, each with the type of the array it is sent in.
UPDATES: dict[str, LiteralString] = {
    "customers": "customer_id bigint email text full_name text country text marketing_opt_in bool updated_at timestamptz",
    "products": "product_id bigint unit_price numeric is_active bool",
    "orders": "order_id bigint status order_status updated_at timestamptz",
}
TABLES_WITHOUT_SEQUENCE = ("order_items",)


@dataclass(slots=True)
class Tally:
    """Which rows a call inserted, updated and deleted in the end, by key."""

    inserted: dict[str, set[object]] = field(default_factory=lambda: {name: set() for name in TABLE_NAMES})
    updated: dict[str, set[object]] = field(default_factory=lambda: {name: set() for name in TABLE_NAMES})
    deleted: dict[str, set[object]] = field(default_factory=lambda: {name: set() for name in TABLE_NAMES})
    bad_rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLE_NAMES, 0))

    def add(self, changes: DayChanges) -> None:
        """Count one more day: what the call inserted stays inserted when updated, and counts nowhere once deleted."""
        for table in TABLE_NAMES:
            inserted = self.inserted[table]
            # Bare keys: 300,000 one-element tuples would keep the garbage collector busy.
            inserted.update(row[:2] if table == "order_items" else row[0] for row in changes.inserted[table])
            self.updated[table].update(row[0] for row in changes.updated[table] if row[0] not in inserted)
            self.deleted[table].update(key for key in changes.deleted[table] if key not in inserted)
            inserted.difference_update(changes.deleted[table])
            self.updated[table].difference_update(changes.deleted[table])
            self.bad_rows[table] += changes.bad_rows[table]


def create_tables(connection: ShopConnection) -> None:
    """Run `schema.sql`; a psycopg error where one of its names is taken."""
    connection.execute(Path(__file__).with_name("schema.sql").read_bytes())


def write_changes(connection: ShopConnection, layout: Layout, changes: DayChanges) -> None:
    """Insert by COPY in the order that foreign keys allow, then update, then delete; the caller commits."""
    for table in TABLE_NAMES:
        if changes.inserted[table]:
            _insert(connection, layout, table, changes.inserted[table])
    for table in UPDATES:
        if changes.updated[table]:
            _update(connection, layout, table, changes.updated[table])
    for table in TABLE_NAMES:
        if changes.deleted[table]:
            key = COLUMNS[table].split()[0]
            names = (Identifier(layout.find_table(table)), Identifier(key))
            statement = SQL("delete from {} where {} = any(%s)").format(*names)
            connection.execute(statement, (changes.deleted[table],))


def save_state(connection: ShopConnection, layout: Layout, shop: Shop, today: date) -> None:
    """Record where the simulator stands. Call it last: sequences are not rolled back."""
    # Updated in place: who waits for the lock of a row that is deleted finds none.
    if connection.execute("update simulator.state set today = %s", (today,)).rowcount == 0:
        connection.execute(
            "insert into simulator.state (seed, first_day, today, events_per_day) values (%s, %s, %s, %s)",
            (shop.seed, shop.first_day, today, shop.events_per_day),
        )
    for table in TABLE_NAMES:
        if table not in TABLES_WITHOUT_SEQUENCE:
            key = COLUMNS[table].split()[0]
            next_id = shop.next_ids[table]
            place = (layout.find_table(table), key)
            connection.execute("select setval(pg_get_serial_sequence(%s, %s), %s, false)", (*place, next_id))


def lock_state(connection: ShopConnection) -> tuple[int, date, date, int]:
    """Return seed, first day, next day to simulate and size, and lock them: simulations and migrations take turns."""
    query = "select seed, first_day, today, events_per_day from simulator.state for update"
    (state,) = connection.execute(query).fetchall()
    seed, first_day, today, events_per_day = state
    return seed, first_day, today, events_per_day


def read_applied(connection: ShopConnection) -> dict[str, datetime]:
    """Return when each migration was applied, in order of time; a shop that was never migrated has no table of them."""
    found = connection.execute("select to_regclass('simulator.migrations')").fetchone()
    if not found or found[0] is None:
        return {}
    return dict(connection.execute("select name, applied_at from simulator.migrations order by applied_at").fetchall())


def apply_migration(connection: ShopConnection, migration: Migration) -> None:
    """Change the schema and record it in the same transaction; the caller holds the lock of the state, and commits."""
    connection.execute("create table if not exists simulator.migrations (name text primary key, applied_at timestamptz not null)")
    connection.execute(migration.sql)
    connection.execute("insert into simulator.migrations values (%s, clock_timestamp())", (migration.name,))


def read_shop(connection: ShopConnection) -> tuple[Shop, Layout, date]:
    """Return the shop as it stands, where it is, and the next day to simulate; locks the state."""
    seed, first_day, today, events_per_day = lock_state(connection)
    layout = Layout(frozenset(read_applied(connection)))
    shop = Shop(seed, first_day, events_per_day)
    shop.next_ids = {table: _read_next_id(connection, layout, table) for table in TABLE_NAMES}
    # A customer created at infinity would not even fit into a datetime.
    customers = connection.execute(
        SQL(
            "select customer_id, email, {full_name}, country, marketing_opt_in, created_at from customers"
            " where segment <> 'test' and isfinite(created_at) order by customer_id"
        ).format(full_name=layout.make_source("customers", "full_name"))
    )
    shop.customers = [Customer(*row) for row in customers]
    products = connection.execute(
        "select product_id, sku, name, category, (unit_price * 100)::bigint, is_active from products order by product_id"
    )
    shop.products = [Product(*row) for row in products]
    addresses = connection.execute("select address_id from addresses order by address_id")
    shop.address_ids = [address_id for (address_id,) in addresses]
    shop.open_orders = _read_open_orders(connection, layout, seed, make_midnight(today))
    shop.erasable_events = _read_erasable_events(connection, make_midnight(today))
    return shop, layout, today


def _insert(connection: ShopConnection, layout: Layout, table: str, rows: Sequence[Row]) -> None:
    columns = layout.arrange(table, COLUMNS[table].split())
    names = SQL(", ").join(Identifier(column.name) for column in columns)
    statement = SQL("copy {} ({}) from stdin").format(Identifier(layout.find_table(table)), names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        for row in arrange_rows(columns, rows):
            copy.write_row(row)


def _update(connection: ShopConnection, layout: Layout, table: str, rows: Sequence[Row]) -> None:
    words = UPDATES[table].split()
    types = words[1::2]
    columns = layout.arrange(table, words[0::2])
    names = [column.name for column in columns]
    arrays = SQL(", ").join(SQL("%s::text[]::") + SQL(types[column.place]) + SQL("[]") for column in columns)
    changes = SQL(", ").join(SQL("{0} = changed.{0}").format(Identifier(name)) for name in names[1:])
    statement: Composed = SQL(
        "update {table} set {changes} from unnest({arrays}) as changed ({names}) where {table}.{key} = changed.{key}"
    ).format(
        table=Identifier(layout.find_table(table)),
        changes=changes,
        arrays=arrays,
        names=SQL(", ").join(Identifier(name) for name in names),
        key=Identifier(names[0]),
    )
    values = zip(*arrange_rows(columns, rows), strict=True)
    connection.execute(statement, [[str(value) for value in array] for array in values])


def _read_next_id(connection: ShopConnection, layout: Layout, table: str) -> int:
    """What the table's sequence would give next; not the highest id plus one, which may have been deleted."""
    if table in TABLES_WITHOUT_SEQUENCE:
        return 1
    place = (layout.find_table(table), COLUMNS[table].split()[0])
    name = connection.execute("select pg_get_serial_sequence(%s, %s)", place).fetchone()
    schema, sequence = (name or ("",))[0].split(".")
    statement = SQL("select last_value + is_called::int from {}").format(Identifier(schema, sequence))
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 1


def _read_open_orders(connection: ShopConnection, layout: Layout, seed: int, now: datetime) -> list[OpenOrder]:
    """Read the orders that may still move. Bad orders never move; a returned one has no steps to come."""
    statement = SQL(
        "select order_id, customer_id, currency, ({fee} * 100)::bigint,"
        " (({fee} + coalesce(sum(quantity * unit_price - discount), 0)) * 100)::bigint, placed_at, status"
        " from orders left join order_items using (order_id)"
        " where placed_at >= %s and status not in ('cancelled', 'refunded')"
        " and customer_id is not null and {fee} >= 0"
        " group by order_id order by order_id"
    ).format(fee=layout.make_source("orders", "shipping_fee"))
    rows = connection.execute(statement, (now - LONGEST_LIFE,))
    orders = []
    for order_id, customer_id, currency, fee_cents, total_cents, placed_at, status in rows:
        steps = [step for step in draw_steps(seed, order_id, placed_at) if step.at >= now]
        facts = (customer_id, currency, fee_cents, total_cents, placed_at)
        orders.append(OpenOrder(order_id, *facts, steps, status))
    return [order for order in orders if order.steps]


def _read_erasable_events(connection: ShopConnection, now: datetime) -> dict[date, list[int]]:
    rows = connection.execute(
        "select event_id, occurred_at from events where occurred_at >= %s and occurred_at < %s"
        " and customer_id is not null and event_type = any(%s) order by event_id",
        (now - 2 * ONE_DAY, now, list(ERASABLE_TYPES)),
    )
    events: dict[date, list[int]] = {}
    for event_id, occurred_at in rows:
        events.setdefault(occurred_at.astimezone(UTC).date(), []).append(event_id)
    return events
