"""What is generated is not stale, and the JSON schema says what the reader says."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from pipelines.catalog.document import DOCUMENT, SCHEMA_FILE, make_schema, render_document, schema_text
from pipelines.cli.main import app
from pipelines.gates.rules import RULES
from pipelines.settings import VARIABLES

ROOT = Path(__file__).parents[2]


def read(file: Path) -> Any:
    """A catalog file as an editor sees it: days are text."""
    return json.loads(json.dumps(yaml.safe_load(file.read_text(encoding="utf-8")), default=str))


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema.Draft202012Validator.check_schema(make_schema())
    return jsonschema.Draft202012Validator(make_schema())


@pytest.fixture
def shop() -> Any:
    return read(ROOT / "pipelines" / "catalog" / "shop.yaml")


def test_the_json_schema_is_not_stale():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run `make docs`"


def test_the_catalogs_page_is_not_stale():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text == render_document(text), "run `make docs`"


def test_the_page_tells_every_setting_variable_and_expectation():
    text = DOCUMENT.read_text(encoding="utf-8")
    settings = [name for part in ("SourceEntry", "TableEntry", "PartitionEntry", "ColumnEntry") for name in _settings(part)]
    wanted = [*settings, *RULES, *(item.name for item in VARIABLES)]
    assert [name for name in wanted if f"| `{name}` |" not in text] == []


# In dbt_project/profiles.yml; made from DAYBREAK_WAREHOUSE_URL.
OF_DBT = {"DAYBREAK_DBT_TARGET", "DAYBREAK_DUCKDB_PATH", "DAYBREAK_SNOWFLAKE_"}


def test_every_variable_that_the_code_names_is_told():
    """dbt's own profile variables apart, which this project sets for it or which are for another warehouse."""
    named = {
        name for file in (ROOT / "pipelines").rglob("*.py") for name in re.findall(r"DAYBREAK_[A-Z_]+", file.read_text(encoding="utf-8"))
    }
    assert named - {item.name for item in VARIABLES} <= {"DAYBREAK_", *OF_DBT}


def _settings(part: str) -> list[str]:
    schema = make_schema()
    return list((schema if part == "SourceEntry" else schema["$defs"][part])["properties"])


def test_no_setting_is_without_a_meaning():
    schema = make_schema()
    parts = [schema, *(schema["$defs"][name] for name in ("TableEntry", "PartitionEntry", "ColumnEntry", "ExpectationEntry"))]
    assert [name for part in parts for name, setting in part["properties"].items() if not setting.get("description")] == []


def test_the_command_line_prints_the_schema():
    done = CliRunner().invoke(app, ["catalog", "schema"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, make_schema())


@pytest.mark.parametrize("file", ["pipelines/catalog/shop.yaml", "tests/integration/northwind_catalog/northwind.yaml"])
def test_the_schema_accepts_our_own_catalogs(validator, file):
    if (ROOT / file).exists():
        validator.validate(read(ROOT / file))


def test_the_shops_catalog_points_editors_to_the_schema():
    first = (ROOT / "pipelines" / "catalog" / "shop.yaml").read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={SCHEMA_FILE.name}"


ORDERS = 3  # its place in the shop's catalog


@pytest.mark.parametrize(
    "spoil",
    [
        lambda shop, table: shop.update(ownr="me"),
        lambda shop, table: shop.update(source="My Shop"),
        lambda shop, table: shop.update(max_connections=True),
        lambda shop, table: shop.pop("url_env"),
        lambda shop, table: shop.update(tables=[]),
        lambda shop, table: table.update(mode="incrementl"),
        lambda shop, table: table.pop("cursor"),
        lambda shop, table: table.update(key="order_id"),
        lambda shop, table: table.update(partition={"column": "x", "start": "2026-01-01"}),
        lambda shop, table: table.update(mode="snapshot"),  # which takes no cursor
        lambda shop, table: table.update(columns={"email": {"mask": "rot13"}}),
        lambda shop, table: table.update(max_quarantined=-1),
        lambda shop, table: table.update(max_quarantined=1.5),
        lambda shop, table: table["expectations"][0].update(on_failure="explode"),
        lambda shop, table: table["expectations"][0].pop("on_failure"),
        lambda shop, table: table["expectations"].append({"on_failure": "hold"}),
        lambda shop, table: table["expectations"].append({"expect_column_values_to_not_be_nul": {"column": "a"}, "on_failure": "hold"}),
        lambda shop, table: table["expectations"].append({"expect_column_values_to_not_be_null": {"colum": "a"}, "on_failure": "hold"}),
        lambda shop, table: table["expectations"].append({"expect_table_row_count_to_be_between": {"windows": []}, "on_failure": "hold"}),
        lambda shop, table: table["expectations"].append({"expect_column_mean_to_be_between": {"column": "a"}, "on_failure": "hold"}),
        lambda shop, table: table["expectations"].append(
            {"expect_column_values_to_be_unique": {"column": "a"}, "on_failure": "quarantine"}
        ),
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(validator, shop, spoil, tmp_path):
    from pipelines.catalog.read import read_catalog
    from pipelines.errors import ConfigError

    assert validator.is_valid(shop)
    assert shop["tables"][ORDERS]["name"] == "orders"
    spoil(shop, shop["tables"][ORDERS])
    assert not validator.is_valid(shop)
    (tmp_path / "shop.yaml").write_text(json.dumps(shop))
    with pytest.raises(ConfigError):
        read_catalog(tmp_path)


def test_the_schema_takes_bounds_that_follow_from_earlier_loads(validator, shop, tmp_path):
    from pipelines.catalog.read import read_catalog

    window = {"constraint_fn": "median", "range": 5, "offset": {"negative": 0.5}}
    expectation = {"expect_table_row_count_to_be_between": {"windows": [window]}, "on_failure": "hold"}
    shop["tables"][ORDERS]["expectations"].append(expectation)
    assert validator.is_valid(shop)
    (tmp_path / "shop.yaml").write_text(json.dumps(shop))
    assert read_catalog(tmp_path)


def test_the_schema_takes_a_count_and_a_share(validator, shop):
    for limit in (0, 100, 0.05, 1.0):
        shop["tables"][ORDERS]["max_quarantined"] = limit
        assert validator.is_valid(shop)
