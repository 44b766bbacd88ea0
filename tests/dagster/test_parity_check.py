"""The night's job compares every raw table with its source, heals what differs, and says so in numbers in the check `parity`."""

import dagster as dg
import pytest

from tests.dagster.conftest import Daybreak

pytestmark = pytest.mark.slow


def test_the_night_proves_every_table_and_heals_what_changed_behind_the_cursor(shop: Daybreak) -> None:
    assert shop.run().is_green
    shop.write("update orders set shipping_fee = shipping_fee + 1 where order_id = (select min(order_id) from orders)")
    night = shop.run("reconcile")
    assert night.is_green
    parity = {asset: check for (asset, name), check in night.checks().items() if name == "parity"}
    assert parity.keys() == {f"raw_shop/{name}" for name in _tables(shop)}
    assert {asset: check.description for asset, check in parity.items() if not check.passed} == {}
    orders = parity["raw_shop/orders"]
    assert orders.severity == dg.AssetCheckSeverity.WARN
    assert "content equal as of" in str(orders.description)
    assert "1 read again and equal now" in str(orders.description)
    numbers = {name: value.value for name, value in orders.metadata.items()}
    assert (numbers["source_rows"], numbers["different"], numbers["reread"]) == (numbers["warehouse_rows"], 0, 1)
    assert shop.ask("select count(distinct table_name) from daybreak.reconciliations") == [(len(parity),)]
    assert f"All {len(parity)} tables equal their sources, as of " in _page(shop)
    second = shop.run("reconcile")
    assert {check.description for (_, name), check in second.checks().items() if name == "parity" and not check.passed} == set()
    assert shop.run().is_green


def _tables(shop: Daybreak) -> list[str]:
    return [table.name for table in shop.settings.sources()[0].tables]


def _page(shop: Daybreak) -> str:
    return (shop.home / "dashboards" / "completeness.html").read_text()


def test_the_morning_makes_the_page_of_proof_too_and_links_to_it(shop: Daybreak) -> None:
    (shop.home / "dashboards" / "completeness.html").unlink()
    assert shop.run().deliveries()["dashboards/completeness"] == "published"
    assert shop.run().deliveries()["dashboards/completeness"] == "unchanged"
    assert 'href="morning.html"' in _page(shop)
    assert 'href="completeness.html"' in shop.dashboard()


def test_a_night_that_cannot_heal_does_not_look_green(shop: Daybreak) -> None:
    import duckdb

    with duckdb.connect(str(shop.home / "warehouse.duckdb")) as connection:
        connection.execute("insert into raw_shop.orders select * from raw_shop.orders limit 1")
    night = shop.run("reconcile")
    assert not night.is_green
    failed = {asset: check for (asset, name), check in night.checks().items() if name == "parity" and not check.passed}
    assert failed.keys() == {"raw_shop/orders"}
    assert failed["raw_shop/orders"].severity == dg.AssetCheckSeverity.ERROR
    assert "more than once" in str(failed["raw_shop/orders"].description)
    assert "1 of 7 tables differs from its source" in _page(shop)
    with duckdb.connect(str(shop.home / "warehouse.duckdb")) as connection:
        connection.execute("delete from raw_shop.orders where rowid = (select max(rowid) from raw_shop.orders)")
    assert shop.run("reconcile").is_green
