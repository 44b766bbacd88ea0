"""What a changed column reaches: through casts, aggregates, filters and stars to tests, contracts and dashboards, and no further."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines.assets.build_plan import in_build_order
from pipelines.evolution.impact import Touched, _is_same_type, list_descendants, list_touched
from pipelines.evolution.moves import Move, list_moves
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

pytestmark = pytest.mark.slow

SPEC = TableSpec("shop", "public", "t", "snapshot")
COLUMNS = ("id", "fee", "status", "note")
RAW = "select *{{ former_names('shop', 't') }} from {{ source('shop', 't') }}"


def manifest(models: Mapping[str, str], **nodes: dict[str, Any]) -> dict[str, Any]:
    """A manifest of models by name, each reading those that its SQL names; ``nodes`` are added to what they say."""
    made: dict[str, dict[str, Any]] = {}
    for name, sql in models.items():
        parents = [f"model.p.{other}" for other in models if f"ref('{other}')" in sql]
        parents += ["source.p.shop.t"] if "source('shop'" in sql else []
        made[f"model.p.{name}"] = node("model", name, parents, raw_code=sql) | {"schema": "s", "columns": {}}
    for key, extra in nodes.items():
        made[f"model.p.{key}"] |= extra
    source = {"unique_id": "source.p.shop.t", "schema": "raw_shop", "identifier": "t", "name": "t", "source_name": "shop", "columns": {}}
    return {
        "metadata": {"adapter_type": "duckdb", "project_name": "p"},
        "sources": {"source.p.shop.t": source},
        "nodes": made,
        "macros": {"former_names": {"package_name": "p", "macro_sql": "{% macro former_names(source_name, table_name) %}{% endmacro %}"}},
        "exposures": {},
    }


def node(kind: str, name: str, parents: list[str], **more: Any) -> dict[str, Any]:
    return {"unique_id": f"{kind}.p.{name}", "resource_type": kind, "name": name, "depends_on": {"nodes": parents}, "raw_code": ""} | more


def with_children(found: dict[str, Any]) -> dict[str, Any]:
    nodes = {**found["nodes"], **found["exposures"]}
    keys = [*found["sources"], *nodes]
    found["child_map"] = {key: [child for child, told in nodes.items() if key in told["depends_on"]["nodes"]] for key in keys}
    return found


def test_of(name: str, model: str, column: str | None, **arguments: str) -> dict[str, Any]:
    told = {"name": name, "kwargs": arguments | ({"column_name": column} if column else {})}
    more = {"column_name": column, "attached_node": f"model.p.{model}", "test_metadata": told, "config": {"severity": "ERROR"}}
    return node("test", f"{name}_{model}", [f"model.p.{model}"], **more)


test_of.__test__ = False  # type: ignore[attr-defined]


def touch(found: dict[str, Any], kind: str, was: str, after: Column | None = None) -> dict[str, Touched]:
    moves = [Move(kind, was, after)]  # type: ignore[arg-type]
    return {f"{item.kind} {item.name}": item for item in list_touched(with_children(found), SPEC, COLUMNS, moves)}


def columns(found: dict[str, Any], was: str) -> dict[str, tuple[str, ...]]:
    """Which columns of which models a raw column reaches."""
    touched = touch(found, "rename", was, Column("new", "text", pa.string()))
    return {item.name: item.columns for item in touched.values() if item.is_certain}


def test_a_column_is_followed_through_names_expressions_and_stars() -> None:
    found = manifest(
        {
            "stg": f"with source as ({RAW}), renamed as (select id, fee as cost, status from source) select * from renamed",
            "mid": "select *, cost * 2 as twice from {{ ref('stg') }}",
            "top": "select id, sum(twice) as total from {{ ref('mid') }} group by id",
            "other": "select id from {{ ref('mid') }}",
        }
    )
    assert columns(found, "fee") == {"stg": ("cost",), "mid": ("cost", "twice"), "top": ("total",)}
    assert columns(found, "note") == {}


def test_a_filter_a_join_and_a_group_decide_on_rows_and_on_those_of_what_reads_them() -> None:
    found = manifest(
        {
            "stg": RAW,
            "filtered": "select id from {{ ref('stg') }} where status <> 'x'",
            "grouped": "select count(*) as n from {{ ref('stg') }} group by note",
            "nested": "select id from {{ ref('stg') }} as stg where exists (select 1 from {{ ref('grouped') }} as g where g.n = stg.fee)",
            "top": "select id from {{ ref('filtered') }} union all select id from {{ ref('filtered') }}",
        }
    )
    assert columns(found, "status") == {"stg": ("status",), "filtered": (), "top": ()}
    assert columns(found, "fee") == {"stg": ("fee",), "nested": ()}
    assert columns(found, "note") == {"stg": ("note",), "grouped": (), "nested": ()}


def test_unions_subqueries_and_jinja_are_followed() -> None:
    found = manifest(
        {
            "stg": RAW,
            "both": "select id as a, fee as b from {{ ref('stg') }} union all select fee, id from {{ ref('stg') }}",
            "scalar": "select (select max(fee) from {{ ref('stg') }}) as top_fee, 1 as one",
            "looped": "select {% for name in ['fee', 'id'] %}{{ money(name) }} as {{ name }}_x, {% endfor %}1 as z from {{ ref('stg') }}",
        }
    )
    found["macros"]["m"] = {"package_name": "p", "macro_sql": "{% macro money(name) %}{{ dbt.date_trunc('day', name) }}{% endmacro %}"}
    assert columns(found, "fee") == {"stg": ("fee",), "both": ("a", "b"), "scalar": ("top_fee",), "looped": ("fee_x",)}


@pytest.mark.parametrize(
    "sql", ["{{ pivoted(ref('stg')) }}", "select nothing(", "with x as ({{ dbt_utils.union(ref('stg')) }}) select * from x where ("]
)
def test_what_stands_on_a_model_that_cannot_be_read_may_be_touched(sql: str) -> None:
    found = manifest({"stg": RAW, "odd": f"{sql} -- ref('stg')", "top": "select 1 as one from {{ ref('odd') }}"})
    touched = touch(found, "drop", "fee")
    assert {item.name: item.is_certain for item in touched.values()} == {"stg": True, "odd": False, "top": False}


def test_compiled_sql_is_read_where_it_is_there() -> None:
    compiled = 'select fee as x from "warehouse"."s"."stg"'
    found = manifest({"stg": RAW, "odd": "{{ pivoted(ref('stg')) }}"}, odd={"compiled_code": compiled})
    assert columns(found, "fee") == {"stg": ("fee",), "odd": ("x",)}


def test_a_dropped_column_breaks_what_says_that_it_is_not_null() -> None:
    found = manifest(
        {"stg": RAW, "mart": "select id, cast(fee as int) + 1 as fee, coalesce(fee, 0) as safe_fee from {{ ref('stg') }}"},
        mart={"contract": {"enforced": True}, "columns": {"fee": {"data_type": "int", "constraints": [{"type": "not_null"}]}}},
    )
    tests = [test_of("not_null", "stg", "fee"), test_of("unique", "mart", "fee"), test_of("not_null", "mart", "safe_fee")]
    tests += [test_of("expression", "mart", None, expression="safe_fee >= 0"), test_of("positive", "mart", None, expression="id > 0")]
    found["nodes"] |= {told["unique_id"]: told for told in tests}
    found["exposures"] = {f"exposure.p.{name}": node("exposure", name, [f"model.p.{name}"]) for name in ("stg", "mart")}
    touched = touch(found, "drop", "fee")
    assert {name: item.reason for name, item in touched.items() if item.mark == "breaking"} == {
        "test not_null_stg": "fee is NULL in new rows",
        "contract mart": "fee is not_null, and will be NULL in new rows",
        "dashboard stg": "stands on what breaks, so it stays as it is",
        "dashboard mart": "stands on what breaks, so it stays as it is",
    }
    assert {name for name, item in touched.items() if item.mark == "safe"} == {
        *("model stg", "model mart", "test unique_mart", "test not_null_mart", "test expression_mart"),
    }
    assert all(item.mark == "safe" for item in touch(found, "rename", "fee", Column("cost", "int", pa.int32())).values())


@pytest.mark.parametrize(
    ("sql", "data_type", "mark"),
    [
        ("select id as key from {{ ref('stg') }}", "integer", "breaking"),
        ("select id as key from {{ ref('stg') }}", "int8", "safe"),
        ("select cast(id as integer) as key from {{ ref('stg') }}", "integer", "safe"),
    ],
)
def test_a_new_type_breaks_the_contract_that_it_reaches_unchanged(sql: str, data_type: str, mark: str) -> None:
    contract = {"contract": {"enforced": True}, "columns": {"key": {"data_type": data_type}}}
    found = manifest({"stg": RAW, "mart": sql}, mart=contract)
    touched = touch(found, "widen", "id", Column("id", "bigint", pa.int64()))
    assert touched["contract mart"].mark == mark
    assert (touched["contract mart"].reason == f"key is {data_type}, and will be bigint") is (mark == "breaking")


def test_a_rename_breaks_a_model_that_has_no_former_names() -> None:
    plain = manifest({"stg": "select id, fee from {{ source('shop', 't') }}"})
    touched = touch(plain, "rename", "fee", Column("cost", "int", pa.int32()))
    assert (touched["model stg"].mark, touched["model stg"].because) == ("breaking", ("fee",))


def test_a_name_that_belongs_to_another_column_now_breaks_the_models_that_read_it() -> None:
    def schema(*names: str) -> TableSchema:
        columns = ((name.partition(":")[0], int(name.partition(":")[2])) for name in names)
        return TableSchema(tuple(Column(name, "int", pa.int32(), identity=number) for name, number in columns), "1")

    found = with_children(manifest({"stg": RAW, "top": "select fee from {{ ref('stg') }}"}))
    for after in (schema("id:1", "cost:2", "fee:3"), schema("id:1", "fee:3"), schema("fee:1", "id:2")):
        moves = list_moves(SPEC, schema("id:1", "fee:2"), after)
        touched = {item.name: item for item in list_touched(found, SPEC, COLUMNS, moves)}
        assert touched["stg"].mark == "breaking"
        assert "reads fee, and another column is called so now" in touched["stg"].reason
        assert touched["top"].mark == "safe"


def test_all_that_descends_from_a_table_is_listed_without_its_tests() -> None:
    found = manifest({"stg": RAW, "top": "select 1 from {{ ref('stg') }}"})
    found["nodes"]["test.p.x"] = test_of("x", "stg", "fee")
    assert [item.name for item in list_descendants(with_children(found), SPEC)] == ["stg", "top"]


def test_moves_are_those_of_columns_that_were_there() -> None:
    def schema(*columns: tuple[str, pa.DataType, int]) -> TableSchema:
        return TableSchema(tuple(Column(name, str(kind), kind, identity=number) for name, kind, number in columns), "1")

    before = schema(("a", pa.int32(), 1), ("b", pa.string(), 2), ("c", pa.int32(), 3), ("d", pa.int32(), 4), ("e", pa.string(), 5))
    after = schema(("a", pa.int64(), 1), ("b", pa.int32(), 2), ("c_new", pa.int64(), 3), ("d", pa.string(), 9), ("e_new", pa.date32(), 5))
    moves = sorted((move.was, move.kind) for move in list_moves(SPEC, before, after))
    expected = [("a", "widen"), ("b", "retype"), ("c", "rename"), ("c", "widen"), ("d", "drop"), ("e", "retype")]
    assert moves == expected


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The shop's own manifest, parsed by dbt."""
    from pipelines.assets.manifest import load_manifest
    from pipelines.settings import load_settings

    return load_manifest(load_settings({"DAYBREAK_HOME": str(tmp_path_factory.mktemp("home"))}))


def test_every_model_of_the_shop_can_be_read_and_is_reached_by_column(shop: Mapping[str, Any]) -> None:
    spec = TableSpec("shop", "public", "orders", "incremental")
    names = list(shop["sources"]["source.daybreak.shop.orders"]["columns"])
    touched = list_touched(shop, spec, names, [Move("rename", "shipping_fee", Column("delivery_fee", "numeric", pa.decimal128(10, 2)))])
    assert all(item.is_certain and item.mark == "safe" for item in touched)
    assert {item.name: item.columns for item in touched if item.kind == "model"} == {
        "stg_shop__orders": ("shipping_fee",),
        "orders": ("shipping_fee", "order_total"),
        "int_orders_converted": ("shipping_fee", "order_total", "net_revenue"),
        "customers": ("lifetime_revenue",),
        "daily_revenue": ("shipping_revenue", "net_revenue", "average_order_value"),
    }
    assert {item.name for item in touched if item.kind == "contract"} == {"orders", "customers", "daily_revenue"}
    assert [item.name for item in touched if item.kind == "dashboard"] == ["morning"]
    for table in ("customers", "addresses", "products", "orders", "order_items", "payments", "events"):
        spec = TableSpec("shop", "public", table, "snapshot")
        names = list(shop["sources"][f"source.daybreak.shop.{table}"]["columns"])
        assert all(item.is_certain for item in list_touched(shop, spec, names, [Move("drop", name, None) for name in names]))


def test_the_shops_models_are_traced_alike_for_snowflake(shop: Mapping[str, Any], tmp_path: Path) -> None:
    from pipelines.assets.manifest import load_manifest
    from pipelines.evolution.lineage import trace_models
    from pipelines.settings import load_settings

    url = "snowflake://me@account/DB?warehouse=WH"
    other = load_manifest(load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_WAREHOUSE_URL": url}))
    models = [key for key in in_build_order(shop, shop["nodes"]) if key.startswith("model.")]
    raw = {("raw_shop", node["name"]): list(node["columns"]) for node in shop["sources"].values()}
    traced = trace_models(shop, models, raw)
    assert len(traced) == len(models)
    assert traced == trace_models(other, models, raw)


@pytest.mark.parametrize(
    ("left", "right", "is_same"),
    [
        ("bigint", "number(19, 0)", True),
        ("timestamptz", "timestamp_tz(6)", True),
        ("varchar", "varchar", True),
        ("decimal(18, 2)", "number(18, 2)", True),
        ("decimal(18, 2)", "number(18, 4)", False),
        ("bigint", "number(18, 2)", False),
        ("bigint", "varchar", False),
    ],
)
def test_types_of_a_contract_and_of_the_engine_are_compared_as_snowflake_has_them(left: str, right: str, is_same: bool) -> None:
    assert _is_same_type(left, right, "snowflake") is is_same


def test_sqlglot_is_not_imported_before_there_is_a_change() -> None:
    import subprocess
    import sys

    code = "import sys, pipelines.cli.main, pipelines.evolution.plan, pipelines.evolution.impact; sys.exit('sqlglot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
