"""The JSON of each kind of event, for `events.properties`: nested, of several shapes, with text in many scripts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from json import JSONEncoder
from random import Random

from pipelines.shop.model import OpenOrder, Product
from pipelines.shop.orders import PricedLine
from pipelines.shop.people import draw_name
from pipelines.shop.vocabulary import (
    GIFT_MESSAGES,
    MIXED_NAME,
    REFERRERS,
    SEARCH_TERMS,
    SORTINGS,
    SUPPORT_MESSAGES,
    SUPPORT_TOPICS,
)

# One encoder for all: json.dumps with these options would make a new one for each event.
encode_json = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def make_view(product: Product, position: int, stream: Random) -> str:
    """The price is in euro; the first view of a visit (`position` 1) also says where the visitor came from."""
    # Two events in three are views, so these are put together by hand around the encoded product.
    text = f'{{"product":{_encode_product(product)},"price":{product.price_cents / 100},"position":{position}'
    if position == 1:
        utm = None if stream.random() < 0.7 else {"campaign": "frühling-春", "medium": "email"}
        return f'{text},"referrer":"{stream.choice(REFERRERS)}","utm":{encode_json(utm)}}}'
    return text + "}"


def make_search(stream: Random) -> str:
    """A term and 0 to 59 results; four in ten also carry nested filters, with a price range in euro."""
    properties: dict[str, object] = {"term": stream.choice(SEARCH_TERMS), "results": stream.randrange(60)}
    if stream.random() < 0.4:
        price_range = [0, stream.choice((2000, 5000, 10000)) / 100]
        properties["filters"] = {
            "price": price_range,
            "in_stock": stream.random() < 0.5,
            "sort": stream.choice(SORTINGS),
        }
    return encode_json(properties)


def make_cart(product: Product, quantity: int) -> str:
    """The price is for one piece, in euro, whatever the customer will pay in."""
    added = {"product_id": product.product_id, "quantity": quantity, "price": product.price_cents / 100}
    return encode_json({"action": "add", "item": added})


def make_purchase(order: OpenOrder, lines: Sequence[PricedLine], stream: Random) -> str:
    """Amounts are in the order's currency; `total` includes shipping and discounts, `unit_price` neither. One in eight is a gift."""
    items = [{"product_id": line.product_id, "quantity": line.quantity, "unit_price": line.price_cents / 100} for line in lines]
    properties: dict[str, object] = {
        "order_id": order.order_id,
        "total": order.total_cents / 100,
        "currency": order.currency,
        "items": items,
        "coupon": None if stream.random() < 0.85 else "WELCOME-10",
    }
    if stream.random() < 0.12:
        recipient = MIXED_NAME if stream.random() < 0.1 else draw_name(stream)
        properties["gift"] = {"to": {"name": recipient}, "message": stream.choice(GIFT_MESSAGES)}
    return encode_json(properties)


def make_support(full_name: str, stream: Random) -> str:
    """A message that carries its sender's name, which is why people ask to have it erased."""
    language, text = stream.choice(SUPPORT_MESSAGES)
    return encode_json(
        {
            "topic": stream.choice(SUPPORT_TOPICS),
            "channel": "chat" if stream.random() < 0.6 else "form",
            "contact": {"name": full_name},
            "message": {"language": language, "text": text},
            "rating": None if stream.random() < 0.5 else stream.randint(1, 5),
        }
    )


@lru_cache(maxsize=1000)
def _encode_product(product: Product) -> str:
    facts = {"id": product.product_id, "sku": product.sku, "name": product.name, "category": product.category}
    return encode_json(facts)
