"""Loading the project: what it must not import, that Dagster's own tools accept it, and that the UI's server lists its assets."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import find_free_port

ROOT = Path(__file__).parents[2]
HEAVY = ("great_expectations", "dbt.cli", "snowflake", "altair", "vl_convert", "pandas")
HEAVY += ("sqlalchemy", "duckdb", "psycopg", "adbc_driver_postgresql", "networkx")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A new machine's: no secret, no source, nothing of ours."""
    home = tmp_path_factory.mktemp("location")
    (home / "dagster").mkdir()
    (home / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    given = {name: value for name, value in os.environ.items() if not name.startswith(("DAYBREAK_", "DAGSTER_", "SHOP_"))}
    return {**given, "DAYBREAK_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}


def tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def test_loading_imports_nothing_that_only_a_step_needs(environment: dict[str, str]) -> None:
    code = f"import sys, pipelines.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [("dg", "check", "defs"), ("dagster", "definitions", "validate", "-w", "workspace.yaml")])
def test_dagsters_own_checks_accept_the_project(environment: dict[str, str], command: tuple[str, ...]) -> None:
    arguments = [tool(command[0]), *command[1:]]
    done = subprocess.run(arguments, env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", [("dagster", "dev", "-w", "workspace.yaml"), ("dg", "dev")])
def test_the_ui_serves_the_assets(environment: dict[str, str], command: tuple[str, ...]) -> None:
    port = find_free_port(21000)
    arguments = [tool(command[0]), *command[1:], "--host", "127.0.0.1", "--port", str(port)]
    nothing = subprocess.DEVNULL
    with subprocess.Popen(arguments, env=environment, cwd=ROOT, stdout=nothing, stderr=nothing, start_new_session=True) as server:
        try:
            names = next(list_assets(port, time.monotonic() + 120))
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=60)
    assert {"raw_shop/orders", "marts/daily_revenue", "dashboards/morning", "reports/morning"} <= names


def list_assets(port: int, deadline: float) -> Iterator[set[str]]:
    query = json.dumps({"query": "{assetNodes {assetKey {path}}}"}).encode()
    while time.monotonic() < deadline:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/graphql", query, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                nodes = json.load(answer)["data"]["assetNodes"]
        except OSError:
            time.sleep(1)
            continue
        if nodes:
            yield {"/".join(node["assetKey"]["path"]) for node in nodes}
        time.sleep(1)
    raise AssertionError("the UI's server did not list the assets in time")
