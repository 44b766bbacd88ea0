"""The macro `former_names` on real staging models: they build after a rename that nobody has told them of yet."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2] / "dbt_project"
ORDERS = "order_id bigint, customer_id bigint, status varchar, currency varchar, {} decimal(10, 2)"
LOAD = "placed_at timestamptz, updated_at timestamptz, _load_id varchar, _loaded_at timestamptz"


class Warehouse:
    """A DuckDB file with what the engine would have written."""

    def __init__(self, folder: Path) -> None:
        self.path, self.target = folder / "warehouse.duckdb", folder / "target"
        self.ask("create schema raw_shop; create schema daybreak")

    def ask(self, sql: str) -> list[tuple]:  # type: ignore[type-arg]
        with duckdb.connect(self.path) as connection:
            return connection.execute(sql).fetchall()

    def note(self, *names: tuple[str, str]) -> None:
        self.ask("create table daybreak.former_names (source_name varchar, table_name varchar, former_name varchar, current_name varchar)")
        for former, current in names:
            self.ask(f"insert into daybreak.former_names values ('shop', 'orders', '{former}', '{current}')")

    def dbt(self, command: str) -> str:
        program = str(Path(sys.executable).with_name("dbt"))
        folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--target-path", str(self.target)]
        done = subprocess.run(
            [program, "--no-use-colors", command, "--select", "stg_shop__orders", *folders, "--log-path", str(self.target)],
            env=os.environ | {"DAYBREAK_DUCKDB_PATH": str(self.path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path)


def test_a_model_builds_after_a_rename_before_anybody_touched_it(warehouse: Warehouse) -> None:
    columns = ORDERS.format("delivery_fee")
    warehouse.ask(f'create table raw_shop.orders ({columns}, "odd ""name" int, {LOAD})')
    warehouse.ask("insert into raw_shop.orders (order_id, delivery_fee) values (1, 4.95)")
    # Once it was `fee`, then `shipping_fee`; `status` is a column again; nobody can say what `amount` was; `gone` is no column any more.
    renames = [("fee", "delivery_fee"), ("shipping_fee", "delivery_fee"), ("status", "currency"), ("odd", 'odd "name')]
    warehouse.note(*renames, ("amount", "order_id"), ("amount", "delivery_fee"), ("old", "gone"))
    warehouse.ask("insert into daybreak.former_names values ('other', 'orders', 'x', 'order_id'), ('shop', 'payments', 'y', 'order_id')")
    warehouse.dbt("run")
    assert warehouse.ask("select order_id, cast(shipping_fee as varchar) from staging.stg_shop__orders") == [(1, "4.95")]
    (compiled,) = (warehouse.target / "compiled").rglob("stg_shop__orders.sql")
    first = next(line.strip() for line in compiled.read_text().splitlines() if "select *" in line)
    added = '"delivery_fee" as "fee", "odd ""name" as "odd", "delivery_fee" as "shipping_fee"'
    assert first == f'select *, {added} from "warehouse"."raw_shop"."orders"'


@pytest.mark.parametrize("is_noted", [True, False])
def test_without_a_rename_nothing_is_added(warehouse: Warehouse, is_noted: bool) -> None:
    warehouse.ask(f"create table raw_shop.orders ({ORDERS.format('shipping_fee')}, {LOAD})")
    if is_noted:
        warehouse.note(("shipping_fee", "delivery_fee"))
    warehouse.dbt("run")
    assert (
        'select * from "warehouse"."raw_shop"."orders"' in next((warehouse.target / "compiled").rglob("stg_shop__orders.sql")).read_text()
    )


def test_a_table_that_was_never_loaded_compiles(warehouse: Warehouse) -> None:
    warehouse.note(("shipping_fee", "delivery_fee"))
    assert 'select * from "warehouse"."raw_shop"."orders"' in warehouse.dbt("compile")
