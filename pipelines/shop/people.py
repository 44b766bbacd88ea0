"""Customers and their addresses: who was there before the first day, who signs up, what people change and remove."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from pipelines.shop.model import Customer, DayChanges, Shop, draw_instant
from pipelines.shop.vocabulary import (
    CITIES,
    COUNTRIES,
    COUNTRY_WEIGHTS,
    FIRST_NAMES,
    LAST_NAMES,
    MAIL_DOMAINS,
    MIXED_NAME,
    STREETS,
)

# At 3,400 events a day: 2,900 customers before the first day and 12 new ones a day, so about 4,000 after 90 days.
FIRST_CUSTOMERS_PER_EVENT = 0.85
SMALLEST_CROWD = 50
SIGN_UPS_PER_EVENT = 12 / 3400


def invite_first_customers(shop: Shop, changes: DayChanges) -> None:
    """Add the customers of the three years before the first day; call it on that day."""
    stream = shop.open_stream(changes.day, "first customers")
    count = max(SMALLEST_CROWD, int(shop.events_per_day * FIRST_CUSTOMERS_PER_EVENT))
    opened_at = changes.starts_at - timedelta(days=3 * 365)
    for created_at in sorted(draw_instant(stream, opened_at, changes.starts_at) for _ in range(count)):
        # Four in ten have touched their profile since.
        has_changed = stream.random() < 0.4
        updated_at = draw_instant(stream, created_at, changes.starts_at) if has_changed else created_at
        _sign_up(shop, changes, (created_at, updated_at), stream)


def sign_up_customers(shop: Shop, changes: DayChanges) -> None:
    """Add about 12 customers per 3,400 events a day, at least one, each with one or two addresses."""
    stream = shop.open_stream(changes.day, "sign-ups")
    typical = shop.events_per_day * SIGN_UPS_PER_EVENT
    count = max(1, int(typical * (0.6 + 0.8 * stream.random()) + 0.5))
    for created_at in sorted(draw_instant(stream, changes.starts_at, changes.ends_at) for _ in range(count)):
        _sign_up(shop, changes, (created_at, created_at), stream)


def change_profiles(shop: Shop, changes: DayChanges) -> None:
    """Let some customers change their profile; call it before the day's sign-ups."""
    stream = shop.open_stream(changes.day, "profiles")
    count = max(1, len(shop.customers) // 250)
    for index in sorted(stream.sample(range(len(shop.customers)), count)):
        customer = _change_one(shop.customers[index], stream)
        shop.customers[index] = customer
        updated_at = draw_instant(stream, changes.starts_at, changes.ends_at)
        profile = (customer.email, customer.full_name, customer.country, customer.marketing_opt_in)
        changes.updated["customers"].append((customer.customer_id, *profile, updated_at))


def change_addresses(shop: Shop, changes: DayChanges) -> None:
    """Remove some addresses and add some to customers who were there before; call it before the day's sign-ups."""
    stream = shop.open_stream(changes.day, "addresses")
    removed = set(stream.sample(shop.address_ids, min(len(shop.address_ids), max(1, len(shop.address_ids) // 500))))
    shop.address_ids = [address_id for address_id in shop.address_ids if address_id not in removed]
    changes.deleted["addresses"].extend(sorted(removed))
    for _ in range(max(1, len(shop.customers) // 500)):
        customer = stream.choice(shop.customers)
        _add_address(shop, changes, customer, (draw_instant(stream, changes.starts_at, changes.ends_at), stream))


def draw_name(stream: Random) -> str:
    """Draw first and last name apart, so that scripts and languages mix."""
    return f"{stream.choice(FIRST_NAMES)} {stream.choice(LAST_NAMES)}"


def make_email(full_name: str, customer_id: int, domain: str) -> str:
    """ASCII, and unique by its customer's id; `customer` stands in for a name without a Latin letter."""
    ascii_name = unicodedata.normalize("NFKD", full_name).encode("ascii", "ignore").decode().lower()
    words = "".join(letter if letter.isalnum() else " " for letter in ascii_name).split()
    return f"{'.'.join(words) or 'customer'}.{customer_id}@{domain}"


def _change_one(customer: Customer, stream: Random) -> Customer:
    match stream.randrange(5):
        case 0:
            full_name = f"{customer.full_name.partition(' ')[0]} {stream.choice(LAST_NAMES)}"
            return replace(customer, full_name=full_name)
        case 1:
            domain = stream.choice(MAIL_DOMAINS)
            return replace(customer, email=make_email(customer.full_name, customer.customer_id, domain))
        case 2:
            return replace(customer, country=stream.choices(COUNTRIES, COUNTRY_WEIGHTS)[0])
        case _:
            return replace(customer, marketing_opt_in=not customer.marketing_opt_in)


def _sign_up(shop: Shop, changes: DayChanges, instants: tuple[datetime, datetime], stream: Random) -> None:
    created_at, updated_at = instants
    customer_id = shop.take_id("customers")
    full_name = MIXED_NAME if customer_id % 400 == 1 else draw_name(stream)
    email = make_email(full_name, customer_id, stream.choice(MAIL_DOMAINS))
    country = stream.choices(COUNTRIES, COUNTRY_WEIGHTS)[0]
    segment = "business" if stream.random() < 0.12 else "consumer"
    customer = Customer(customer_id, email, full_name, country, stream.random() < 0.35, created_at)
    shop.customers.append(customer)
    profile = (email, full_name, country, segment, customer.marketing_opt_in)
    changes.inserted["customers"].append((customer_id, *profile, created_at, updated_at))
    for _ in range(2 if stream.random() < 0.4 else 1):
        _add_address(shop, changes, customer, (created_at, stream))


def _add_address(shop: Shop, changes: DayChanges, customer: Customer, drawn: tuple[datetime, Random]) -> None:
    created_at, stream = drawn
    address_id = shop.take_id("addresses")
    shop.address_ids.append(address_id)
    kind = "billing" if stream.random() < 0.3 else "delivery"
    street = f"{stream.choice(STREETS)} {stream.randint(1, 190)}"
    place = (stream.choice(CITIES[customer.country]), f"{stream.randint(1000, 99999):05d}", customer.country)
    changes.inserted["addresses"].append((address_id, customer.customer_id, kind, street, *place, created_at))
