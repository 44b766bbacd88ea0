"""The lineage cannot change unseen: every asset's spec is pinned in asset_specs.json. Renew it with the command in the failure."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from dagster import AssetKey

from pipelines.settings import load_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("asset_specs.json")
RENEW = "python -m tests.dagster.test_asset_specs"


def describe_assets(home: Path) -> dict[str, Any]:
    from pipelines.definitions import build_defs

    graph = build_defs(settings=load_settings({"DAYBREAK_HOME": str(home), "DAYBREAK_TODAY": "2026-03-10"})).resolve_asset_graph()
    described = {}
    for key in sorted(graph.materializable_asset_keys):
        node = graph.get(key)
        described[key.to_user_string()] = {
            "deps": sorted(parent.to_user_string() for parent in node.parent_keys),
            "group": node.group_name,
            "kinds": sorted(node.kinds),
            "owners": sorted(node.owners),
            "description": (node.description or "").partition("\n")[0],
            "metadata": sorted(node.metadata),
            "partitions": type(node.partitions_def).__name__ if node.partitions_def else None,
            "checks": sorted(check.name for check in node.check_keys),
        }
    return described


def test_asset_specs_are_as_pinned(tmp_path: Path) -> None:
    found = describe_assets(tmp_path)
    pinned = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    assert found == pinned, f"The assets changed. If that is meant, renew the snapshot and read its diff: {RENEW}"


def test_every_asset_has_a_group_a_kind_an_owner_and_a_description() -> None:
    described = json.loads(SNAPSHOT.read_text())
    lacking = {key: name for key, spec in described.items() for name in ("group", "kinds", "owners", "description") if not spec[name]}
    assert lacking == {}


def test_a_project_without_the_shop_has_none_of_its_models_and_no_dashboard_but_the_proof(tmp_path: Path) -> None:
    from pipelines.definitions import build_defs

    folder = tmp_path / "catalog"
    folder.mkdir()
    head = "source: crm\nurl_env: CRM_URL\nschema: public\nowner: data@example.com\n"
    (folder / "crm.yaml").write_text(f"{head}tables:\n  - {{name: leads, mode: snapshot, key: [id]}}\n")
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_CATALOG": str(folder)})
    keys = {key.to_user_string() for key in build_defs(settings=settings).resolve_asset_graph().materializable_asset_keys}
    assert {"raw_crm/leads", "warehouse/read_copy", "reports/morning"} <= keys
    assert [key for key in keys if "shop" in key or key.startswith("dashboards/")] == ["dashboards/completeness"]


def test_a_dashboard_of_another_tool_is_in_the_lineage_as_the_page_says_but_not_in_the_morning(tmp_path: Path) -> None:
    """The exposure of docs/add-a-dashboard.md, as it is written there."""
    from pipelines.definitions import build_defs

    page = (ROOT / "docs" / "add-a-dashboard.md").read_text()
    (exposure,) = re.findall(r"```yaml\n(.+?)```", page, re.DOTALL)
    shutil.copytree(ROOT / "dbt_project", tmp_path / "dbt_project", ignore=shutil.ignore_patterns("target", "logs"))
    with (tmp_path / "dbt_project" / "models" / "marts" / "_exposures.yml").open("a") as file:
        file.write(exposure)
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_DBT_PROJECT": str(tmp_path / "dbt_project")})
    defined = build_defs(settings=settings)
    key = AssetKey(["dashboards", "finance_weekly"])
    node = defined.resolve_asset_graph().get(key)
    assert {parent.to_user_string() for parent in node.parent_keys} == {"marts/daily_revenue", "warehouse/read_copy"}
    assert (node.is_external, list(node.owners), node.group_name) == (True, ["finance@example.com"], "deliveries")
    assert key not in defined.resolve_job_def("morning_refresh").asset_layer.executable_asset_keys


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        SNAPSHOT.write_text(json.dumps(describe_assets(Path(home)), indent=1, ensure_ascii=False) + "\n")
    sys.stdout.write(f"{SNAPSHOT} is renewed\n")
