"""A day of visits to the shop: sessions of views, searches, carts, purchases and support, and the events they send.

A purchase is always the end of a session in which each of its products was viewed and put into the cart, and is the
moment at which the order is placed. Some phones send a session's events one or two days late.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import accumulate
from operator import itemgetter
from random import Random
from uuid import UUID

from pipelines.shop import properties
from pipelines.shop.model import ONE_DAY, ONE_MICROSECOND, Customer, DayChanges, Product, Row, Shop, make_range
from pipelines.shop.orders import Basket, place_order
from pipelines.shop.vocabulary import COUNTRIES, COUNTRY_WEIGHTS, DEVICE_WEIGHTS, DEVICES

# Visits per hour of the day (UTC; most customers live an hour or two east of it), on working days and at the weekend.
WORKDAY_HOURS = (6, 4, 3, 3, 5, 12, 26, 38, 44, 48, 52, 60, 58, 52, 50, 52, 58, 72, 90, 98, 92, 70, 40, 16)
WEEKEND_HOURS = (12, 8, 5, 4, 4, 6, 12, 26, 48, 66, 76, 78, 74, 72, 72, 70, 68, 66, 68, 72, 66, 54, 36, 20)
# Monday to Sunday; their mean is 1.
WEEKDAY_FACTORS = (1.06, 1.02, 1.0, 0.98, 0.9, 0.94, 1.1)
# A mild growth that reaches the mean of the default history in its middle.
FIRST_DAY_FACTOR, GROWTH_PER_DAY = 0.92, 0.0018
# Measured over the default history.
EVENTS_PER_VISIT = 4.3
KINDS = ("glance", "browse", "abandon", "buy", "support")
KIND_WEIGHTS = (34, 35, 12, 16, 3)
# Every 13th visit of a phone that bought nothing is sent late: a count, so that no day of a small shop is without one.
LATE_EVERY_VISITS = 13

# What people ask to have erased: what they typed.
ERASABLE_TYPES = ("search", "support")

# Seconds after the start of the visit, event type, properties.
Step = tuple[float, str, str]


@dataclass(frozen=True, slots=True)
class Assortment:
    """The products on sale, with weights that make few of them popular."""

    products: Sequence[Product]
    cumulative_weights: Sequence[float]

    def pick(self, stream: Random) -> Product:
        """Draw a product, popular ones more often."""
        # What `stream.choices` does, in a fifth of its time.
        return self.products[bisect(self.cumulative_weights, stream.random() * self.cumulative_weights[-1])]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who visits and from where; `customer` is None for a stranger, `country` and `ip` where the event does not say."""

    customer: Customer | None
    device: str
    country: str | None
    ip: str | None


@dataclass(slots=True)
class Visit:
    """A visit while it is made up: `clock` is the seconds since its start."""

    stream: Random
    assortment: Assortment
    clock: float = 0.0
    viewed: int = 0

    def wait(self) -> float:
        """Let 3 to 93 seconds pass, more often few than many, and return the clock."""
        chance = self.stream.random()
        self.clock += 3.0 + 90.0 * chance * chance
        return self.clock

    def view(self, product: Product) -> Step:
        """Look at a product; the event counts the visit's views from 1."""
        self.viewed += 1
        return (self.wait(), "view", properties.make_view(product, self.viewed, self.stream))

    def wander(self, least: int, most: int) -> list[Step]:
        """Look at some products and search now and then."""
        steps: list[Step] = []
        for _ in range(self.stream.randint(least, most)):
            if self.stream.random() < 0.22:
                steps.append((self.wait(), "search", properties.make_search(self.stream)))
            else:
                steps.append(self.view(self.assortment.pick(self.stream)))
        return steps

    def fill_cart(self) -> tuple[list[Step], list[tuple[Product, int]]]:
        """View products and put them into the cart; return the steps and the cart."""
        steps: list[Step] = []
        cart: dict[int, tuple[Product, int]] = {}
        for _ in range(self.stream.choices((1, 2, 3, 4, 6), (40, 28, 17, 10, 5))[0]):
            product = self.assortment.pick(self.stream)
            if product.product_id not in cart:
                quantity = self.stream.choices((1, 2, 3, 5), (80, 13, 5, 2))[0]
                cart[product.product_id] = (product, quantity)
                steps.append(self.view(product))
                steps.append((self.wait(), "cart", properties.make_cart(product, quantity)))
        return steps, list(cart.values())


def receive_visits(shop: Shop, changes: DayChanges) -> None:
    """Make up the day's visits with their orders, and write the events that the shop receives on this day."""
    stream = shop.open_stream(changes.day, "visits")
    on_sale = [product for product in shop.products if product.is_active]
    weights = accumulate(1.0 / (5 + product.product_id % 97) for product in on_sale)
    assortment = Assortment(on_sale, list(weights))
    received: list[tuple[datetime, Row]] = []
    quiet_phone_visits = 0
    for starts_in in _draw_starts(shop, changes.day, stream):
        kind = stream.choices(KINDS, KIND_WEIGHTS)[0]
        visitor = _draw_visitor(shop, kind in ("buy", "support"), stream)
        visit = Visit(stream, assortment)
        steps, cart = _draw_steps(visit, kind, visitor)
        if kind == "buy":
            visit.wait()
        # Nobody visits past midnight: who would, comes earlier.
        start = changes.starts_at + timedelta(seconds=min(starts_in, 86_395.0 - visit.clock))
        days_late = 0
        if kind == "buy" and visitor.customer is not None:
            placed_at = start + timedelta(seconds=visit.clock)
            order, lines = place_order(shop, changes, Basket(visitor.customer, cart, placed_at))
            steps.append((visit.clock, "purchase", properties.make_purchase(order, lines, stream)))
        elif visitor.device == "mobile":
            quiet_phone_visits += 1
            days_late = _days_late(shop, changes, visitor, quiet_phone_visits)
        received.extend(_make_events(visitor, steps, (start, days_late, changes.ends_at), stream))
    _write_events(shop, changes, received)


def erase_events(shop: Shop, changes: DayChanges) -> None:
    """Delete a few events of the two days before, on their sender's request; call it before the day's visits."""
    stream = shop.open_stream(changes.day, "erasures")
    days = list(make_range(changes.day - 2 * ONE_DAY, changes.day))
    candidates = sorted(event_id for day in days for event_id in shop.erasable_events.get(day, []))
    erased = set(stream.sample(candidates, min(len(candidates), stream.randint(2, 6))))
    changes.deleted["events"].extend(sorted(erased))
    # Tomorrow nothing can be erased that is older than yesterday.
    kept = [day for day in shop.erasable_events if day >= changes.day - ONE_DAY]
    shop.erasable_events = {day: [event_id for event_id in shop.erasable_events[day] if event_id not in erased] for day in kept}


def _draw_starts(shop: Shop, day: date, stream: Random) -> list[float]:
    """Draw the seconds after midnight at which visits start, in order."""
    growth = FIRST_DAY_FACTOR + GROWTH_PER_DAY * (day - shop.first_day).days
    wanted = shop.events_per_day * growth * WEEKDAY_FACTORS[day.weekday()] * (0.94 + 0.12 * stream.random())
    hours = WEEKEND_HOURS if day.weekday() >= 5 else WORKDAY_HOURS
    count = max(LATE_EVERY_VISITS, int(wanted / EVENTS_PER_VISIT + 0.5))
    drawn = stream.choices(range(24), cum_weights=list(accumulate(hours)), k=count)
    return sorted(3600.0 * (hour + stream.random()) for hour in drawn)


def _draw_visitor(shop: Shop, is_known: bool, stream: Random) -> Visitor:
    customer = None
    if is_known or stream.random() < 0.45:
        # Two draws multiplied: the first customers come back most.
        customer = shop.customers[int(len(shop.customers) * stream.random() * stream.random())]
    device = stream.choices(DEVICES, DEVICE_WEIGHTS)[0]
    country: str | None = customer.country if customer else stream.choices(COUNTRIES, COUNTRY_WEIGHTS)[0]
    ip: str | None = f"198.51.100.{stream.randrange(256)}"
    match stream.randrange(20):
        case 0:
            country = None
        case 1:
            ip = None
        case 2 | 3 | 4 | 5:
            ip = f"2001:db8:{stream.randrange(65536):x}::{stream.randrange(1, 65536):x}"
        case 6:
            country = stream.choice(COUNTRIES)
        case _:
            pass
    return Visitor(customer, device, country, ip)


def _draw_steps(visit: Visit, kind: str, visitor: Visitor) -> tuple[list[Step], list[tuple[Product, int]]]:
    match kind:
        case "glance":
            return visit.wander(1, 2), []
        case "browse":
            return visit.wander(3, 8), []
        case "support":
            name = visitor.customer.full_name if visitor.customer else "?"
            return [*visit.wander(1, 2), (visit.wait(), "support", properties.make_support(name, visit.stream))], []
        case _:
            steps = visit.wander(0, 3)
            cart_steps, cart = visit.fill_cart()
            return [*steps, *cart_steps], cart


def _days_late(shop: Shop, changes: DayChanges, visitor: Visitor, quiet_phone_visits: int) -> int:
    """How many days ago the visit took place that the shop hears of today."""
    if quiet_phone_visits % LATE_EVERY_VISITS != 5:
        return 0
    days = min(1 + quiet_phone_visits // LATE_EVERY_VISITS % 2, (changes.day - shop.first_day).days)
    is_older_than_customer = visitor.customer and visitor.customer.created_at > changes.starts_at - days * ONE_DAY
    return 0 if is_older_than_customer else days


def _make_events(
    visitor: Visitor, steps: Sequence[Step], timing: tuple[datetime, int, datetime], stream: Random
) -> list[tuple[datetime, Row]]:
    """Return each event's instant of arrival, and its row without its id."""
    start, days_late, day_end = timing
    session_id = str(UUID(int=stream.getrandbits(128), version=4))
    customer_id = visitor.customer.customer_id if visitor.customer else None
    email = visitor.customer.email if visitor.customer else None
    events: list[tuple[datetime, Row]] = []
    for seconds, event_type, text in steps:
        happened_at = start + timedelta(seconds=seconds)
        arrived_at = min(happened_at + timedelta(seconds=0.05 + 2.0 * stream.random()), day_end - ONE_MICROSECOND)
        occurred_at = happened_at - days_late * ONE_DAY
        sender = (visitor.device, visitor.country, email, visitor.ip)
        events.append((arrived_at, (session_id, customer_id, event_type, *sender, text, occurred_at, arrived_at)))
    return events


def _write_events(shop: Shop, changes: DayChanges, received: list[tuple[datetime, Row]]) -> None:
    received.sort(key=itemgetter(0))
    rows = changes.inserted["events"]
    for _, row in received:
        event_id = shop.take_id("events")
        rows.append((event_id, *row))
        occurred_at = row[8]
        if row[1] is not None and row[2] in ERASABLE_TYPES and isinstance(occurred_at, datetime):
            shop.erasable_events.setdefault(occurred_at.date(), []).append(event_id)
