"""The simulated shop in memory, and what one simulated day changes in its database.

Money is in integer cents, instants are UTC. Not here: the rules that make changes (`assortment.py`, `people.py`,
`orders.py`, `visits.py`, `bad_rows.py`) and their way into the database (`store.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random

Row = tuple[object, ...]

# In the order that foreign keys allow to insert in.
TABLE_NAMES = ("customers", "addresses", "products", "orders", "order_items", "payments", "events")

ONE_DAY = timedelta(days=1)
ONE_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class ShopSummary:
    """The difference between the database before a call and after it, in rows per table (every table is listed).

    A row that was inserted and then updated within the call counts as inserted; one inserted and then deleted counts
    nowhere. `bad_rows` says how many of the inserted rows an application should not have written.
    """

    first_day: date
    today: date
    inserted: Mapping[str, int]
    updated: Mapping[str, int]
    deleted: Mapping[str, int]
    bad_rows: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Customer:
    """What the simulation reads again of a customer; `country` is ISO 3166 alpha-2."""

    customer_id: int
    email: str
    full_name: str
    country: str
    marketing_opt_in: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Product:
    """What the simulation reads again of a product; `price_cents` is euro cents, and only active products are viewed and bought."""

    product_id: int
    sku: str
    name: str
    category: str
    price_cents: int
    is_active: bool


@dataclass(frozen=True, slots=True)
class OrderStep:
    """What happens to an order: a new status, a payment, or both. `charge` is 1, -1 for a refund, 0 for none."""

    at: datetime
    status: str | None
    method: str = ""
    charge: int = 0
    payment_status: str = ""


@dataclass(slots=True)
class OpenOrder:
    """An order to which something will still happen; `steps` are those to come."""

    order_id: int
    customer_id: int
    currency: str
    fee_cents: int
    total_cents: int
    placed_at: datetime
    steps: list[OrderStep]
    status: str = "placed"


@dataclass(slots=True)
class Shop:
    """What the simulator must know to live through the next day. Lists are in the order of their ids."""

    seed: int
    first_day: date
    events_per_day: int
    customers: list[Customer] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    address_ids: list[int] = field(default_factory=list)
    open_orders: list[OpenOrder] = field(default_factory=list)
    # Searches and support messages of known customers, by day: what people ask to have erased.
    erasable_events: dict[date, list[int]] = field(default_factory=dict)
    next_ids: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLE_NAMES, 1))

    def take_id(self, table: str) -> int:
        """Return the next id of `table`, as its sequence would."""
        taken = self.next_ids[table]
        self.next_ids[table] = taken + 1
        return taken

    def open_stream(self, day: date, name: str) -> Random:
        """Return the random numbers for one purpose on one day, which no other purpose or day can disturb."""
        return Random(f"{self.seed}/{day.isoformat()}/{name}")


@dataclass(slots=True)
class DayChanges:
    """The rows that one day inserts, updates (the key, then the changed columns) and deletes (keys), per table."""

    day: date
    inserted: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLE_NAMES})
    updated: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in TABLE_NAMES})
    deleted: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in TABLE_NAMES})
    bad_rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLE_NAMES, 0))

    @property
    def starts_at(self) -> datetime:
        """The day's first instant: midnight UTC."""
        return make_midnight(self.day)

    @property
    def ends_at(self) -> datetime:
        """The first instant that is no longer in the day: the next midnight UTC."""
        return make_midnight(self.day + ONE_DAY)


def make_midnight(day: date) -> datetime:
    """00:00 UTC of `day`: the shop cuts its days there, wherever its customers live."""
    return datetime.combine(day, time(), tzinfo=UTC)


def make_money(cents: int) -> Decimal:
    """Cents as the exact decimal that a `numeric` column takes: 1250 gives 12.50."""
    return Decimal(cents).scaleb(-2)


def make_range(first: date, end: date) -> Iterator[date]:
    """Yield the days of `[first, end)`."""
    while first < end:
        yield first
        first += ONE_DAY


def draw_instant(stream: Random, start: datetime, end: datetime) -> datetime:
    """Draw an instant in `[start, end)`, to the microsecond."""
    return start + ONE_MICROSECOND * stream.randrange((end - start) // ONE_MICROSECOND)
