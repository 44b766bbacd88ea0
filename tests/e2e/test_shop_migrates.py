"""The shop's developers migrate it, the sensor sees it, and every morning is right: rows, marts, dashboard. One shop, in this order."""

from collections import Counter
from collections.abc import Iterator

import dagster as dg
import pytest

from pipelines.shop.simulator import migrate_shop
from sensors.schema_drift import make_schema_drift
from tests.dagster.conftest import Daybreak, open_daybreak
from tests.dagster.test_morning import TABLES, columns_of

pytestmark = pytest.mark.slow

FIRST = ("loyalty_tier", "delivery_fee", "package_size")
UNSEEN = ("status_returned", "returns_table")  # no table of the catalog has another schema because of them


class Walk:
    """A shop that is migrated step by step, and the sensor's cursor."""

    def __init__(self, daybreak: Daybreak) -> None:
        self.daybreak, self.cursor = daybreak, None
        self.names = {table: table for table in TABLES}  # in the warehouse -> in the source

    def tick(self) -> dg.SensorResult:
        with self.daybreak.inside():
            sensor = make_schema_drift(self.daybreak.settings.sources()[0])
            definitions = self.daybreak.definitions()
            result = sensor(dg.build_sensor_context(instance=self.daybreak.instance, cursor=self.cursor, definitions=definitions))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return result

    def evolve(self) -> set[str]:
        """Tick, and run what that asks for; returns the raw tables of the run."""
        requests = self.tick().run_requests or []
        for request in requests:
            run = self.daybreak.run("evolve_schema", asset_selection=request.asset_selection, tags=request.tags)
            assert run.is_green, run.explain()
        assert not self.tick().run_requests, "what was followed is not asked for again"
        keys = {key.to_user_string() for request in requests for key in request.asset_selection or []}
        return {key.removeprefix("raw_shop/") for key in keys if key.startswith("raw_shop/")}

    def check_morning(self) -> None:
        """A day passes; the morning is green, every table is the source's, and the page shows the source's money."""
        self.daybreak.advance()
        morning = self.daybreak.run()
        assert morning.is_green, morning.explain()
        assert morning.deliveries()["dashboards/morning"] == "published"
        for table, name in self.names.items():
            columns = columns_of(self.daybreak, name)
            listed = ", ".join(f"{column}::text" for column in columns)
            where = f" where occurred_at < '{self.daybreak.today}'" if table == "events" else ""
            found = self.daybreak.ask(f"select {', '.join(f'cast({column} as varchar)' for column in columns)} from raw_shop.{table}")
            assert Counter(found) == Counter(self.daybreak.source(f"select {listed} from {name}{where}")), table
        fee = "delivery_fee" if "delivery_fee" in columns_of(self.daybreak, "orders") else "shipping_fee"
        money = self.daybreak.source(f"select count(*), sum({fee}) from orders where customer_id is not null")
        assert self.daybreak.ask("select count(*), sum(shipping_fee) from marts.orders", copy=True) == money
        lines = "order_items join orders using (order_id) where customer_id is not null"
        pieces = self.daybreak.source(f"select sum(quantity)::bigint from {lines}")
        assert self.daybreak.ask("select sum(item_count)::bigint from marts.orders", copy=True) == pieces


def walk(daybreak: Daybreak, count: int) -> list[str]:
    """Migrate step by step, with a morning after each."""
    story, done = Walk(daybreak), []
    assert daybreak.run().is_green
    assert not story.tick().run_requests
    for _ in range(count):
        (migration,) = migrate_shop(daybreak.url, count=1)
        done.append(migration.name)
        if migration.name == "payments_renamed":
            story.names["payments"] = "order_payments"
        tables = story.evolve()
        assert bool(tables) is (migration.name not in UNSEEN), migration.name
        story.check_morning()
    return done


@pytest.fixture
def shop(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daybreak]:
    with open_daybreak(postgres_server, tmp_path_factory.mktemp("daybreak") / "home") as daybreak:
        yield daybreak


def test_a_column_that_comes_and_one_that_gets_another_name_are_right_the_same_morning(shop: Daybreak) -> None:
    assert walk(shop, len(FIRST)) == list(FIRST)
    told = shop.dashboard()
    assert "shipping_fee is now called delivery_fee" in told
    assert "add loyalty_tier" in told
    assert shop.ask("select distinct loyalty_tier from raw_shop.customers") == [("basic",)]

    shop.write("alter table addresses alter postcode type int using 1")
    story = Walk(shop)
    (request,) = story.tick().run_requests or []
    assert request.tags["daybreak/because"] == "a migration of addresses"
    held = shop.run("evolve_schema", asset_selection=request.asset_selection)
    assert not held.is_green
    assert held.outcomes()["shop.addresses"] == "held"
    assert "daybreak apply shop --approve" in held.report["problems"][0]
    waiting = story.tick()
    assert not waiting.run_requests
    assert "waiting for a person: addresses" in str(waiting.skip_reason)
    assert shop.daybreak("plan", "shop").returncode == 3


@pytest.mark.long
def test_every_migration_of_the_shop_is_followed_and_each_morning_is_right(shop: Daybreak) -> None:
    done = walk(shop, 12)
    assert done[-1] == "returns_table"
    planned = shop.daybreak("plan", "shop")
    assert planned.returncode == 0
    assert planned.stdout.startswith("Not in the catalog: shop.returns. `daybreak add SOURCE TABLE` adds one.")
