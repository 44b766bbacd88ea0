"""What the shop sells: the first products, a new one each day, price rises, and products that are taken off sale."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

from pipelines.shop.model import DayChanges, Product, Shop, draw_instant, make_money
from pipelines.shop.vocabulary import FINISHES, GOODS

# With one new product a day, a shop with 90 days of history ends up with about 200.
FIRST_PRODUCTS = 110
PRICE_RISES_PER_DAY = 3
SMALLEST_ASSORTMENT = 60


def stock_shop(shop: Shop, changes: DayChanges) -> None:
    """Put the products on sale that the shop had before its first day; call it on that day."""
    stream = shop.open_stream(changes.day, "first products")
    opened_at = changes.starts_at - timedelta(days=3 * 365)
    instants = sorted(draw_instant(stream, opened_at, changes.starts_at) for _ in range(FIRST_PRODUCTS))
    for created_at in instants:
        _add_product(shop, changes, created_at, stream)


def reprice_products(shop: Shop, changes: DayChanges) -> None:
    """Raise a few prices, and now and then take a product off sale; both hold for the whole day."""
    stream = shop.open_stream(changes.day, "prices")
    changed: dict[int, Product] = {}
    for index in stream.sample(range(len(shop.products)), PRICE_RISES_PER_DAY):
        product = shop.products[index]
        # Prices only rise: one that came back to where it was would be a change that no comparison can find.
        rise = max(1, product.price_cents * stream.randint(1, 6) // 100)
        changed[index] = replace(product, price_cents=product.price_cents + rise)
    if stream.random() < 0.4:
        on_sale = [index for index, product in enumerate(shop.products) if product.is_active]
        if len(on_sale) > SMALLEST_ASSORTMENT:
            index = stream.choice(on_sale)
            changed[index] = replace(changed.get(index, shop.products[index]), is_active=False)
    for index, product in sorted(changed.items()):
        shop.products[index] = product
        changes.updated["products"].append((product.product_id, make_money(product.price_cents), product.is_active))


def launch_product(shop: Shop, changes: DayChanges) -> None:
    """Add the day's new product; call it after the day's visits, which cannot know it yet."""
    stream = shop.open_stream(changes.day, "new product")
    created_at = draw_instant(stream, changes.starts_at + timedelta(hours=7), changes.starts_at + timedelta(hours=17))
    _add_product(shop, changes, created_at, stream)


def _add_product(shop: Shop, changes: DayChanges, created_at: datetime, stream: Random) -> None:
    category = stream.choice(list(GOODS))
    goods, typical_cents = stream.choice(GOODS[category])
    price_cents = typical_cents * stream.randint(80, 130) // 100
    cost_cents = price_cents * stream.randint(45, 70) // 100
    product_id = shop.take_id("products")
    sku = f"{category[:3].upper()}-{product_id:05d}"
    product = Product(product_id, sku, f"{goods}, {stream.choice(FINISHES)}", category, price_cents, is_active=True)
    shop.products.append(product)
    money = (make_money(price_cents), make_money(cost_cents))
    changes.inserted["products"].append((product_id, sku, product.name, category, *money, True, created_at))
