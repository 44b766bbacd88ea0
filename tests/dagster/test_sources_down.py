"""A second source that cannot be reached, or whose URL is not set: its tables are held, everything else is fresh and published."""

import shutil
import socket

import pytest

from tests.dagster.conftest import ROOT, Daybreak

pytestmark = pytest.mark.slow

CRM = """
source: crm
url_env: CRM_DATABASE_URL
schema: public
tables:
  - {name: leads, mode: incremental, key: [id], cursor: updated_at}
  - {name: visits, mode: partitioned, key: [id], partition: {column: at, by: day, start: 2026-03-01}}
"""


@pytest.fixture(scope="module")
def two_sources(daybreak: Daybreak) -> Daybreak:
    folder = daybreak.home / "catalog"
    shutil.copytree(ROOT / "pipelines" / "catalog", folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    (folder / "crm.yaml").write_text(CRM)
    url = f"postgresql://nobody:secret@127.0.0.1:{closed_port()}/crm"
    daybreak.environment |= {"DAYBREAK_CATALOG": str(folder), "CRM_DATABASE_URL": url}
    return daybreak


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_an_unreachable_source_holds_its_tables_and_nothing_else(two_sources: Daybreak) -> None:
    two_sources.touch("customers", 1, "full_name = full_name || '!'")
    morning = two_sources.run()
    assert not morning.is_green
    outcomes = morning.outcomes()
    assert outcomes.pop("crm.leads") == outcomes.pop("crm.visits") == "held"
    assert outcomes["shop.customers"] == "committed"
    assert "held" not in outcomes.values()
    assert {"raw_crm/leads", "raw_crm/visits"} <= morning.yielded()
    assert set(morning.models().values()) == {"built"}
    assert morning.deliveries() == {
        "dashboards/completeness": "published",
        "dashboards/morning": "published",
        "warehouse/read_copy": "published",
    }
    (problem,) = morning.report["problems"]
    assert "crm.leads, crm.visits are held" in problem
    assert "secret" not in problem
    assert {asset for (asset, _), check in morning.checks().items() if not check.passed} == {"raw_crm/leads", "raw_crm/visits"}


@pytest.mark.slow
def test_a_source_without_a_url_is_held_too_and_daybreak_run_ends_with_3(two_sources: Daybreak) -> None:
    done = two_sources.daybreak("run", CRM_DATABASE_URL="")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "CRM_DATABASE_URL is not set" in done.stdout
    assert "dashboards/morning: unchanged" in done.stdout or "dashboards/morning: published" in done.stdout


def test_without_any_source_daybreak_run_ends_with_2(two_sources: Daybreak) -> None:
    done = two_sources.daybreak("run", SHOP_DATABASE_URL="", CRM_DATABASE_URL="")
    assert done.returncode == 2
    assert "SHOP_DATABASE_URL is not set" in done.stderr
