"""`daybreak metrics`: Prometheus can read it, and its numbers are those of the mirror, which alone is asked."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.metrics import METRICS, list_samples, make_registry, write_text
from pipelines.state.backfills import new_backfill, save_backfill
from pipelines.sync.model import DayRange
from pipelines.wiring import open_mirror
from tests.conftest import Project
from tests.integration.comparing import make_orders

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(autouse=True)
def environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in project.settings.environment.items():
        monkeypatch.setenv(name, value)


def daybreak(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result.output


def read(text: str) -> Numbers:
    families = list(text_string_to_metric_families(text))
    assert {family.name for family in families} == set(METRICS)
    assert all(family.documentation and family.type == "gauge" for family in families)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}


def of(numbers: Numbers, name: str, table: str = "shop.t", **labels: str) -> float | None:
    return numbers.get((f"daybreak_{name}", frozenset({"table": table, **labels}.items())))


def test_a_back_dated_write_is_counted_when_it_is_healed(project: Project) -> None:
    make_orders(project, deletes="reconcile")
    project.run("update t set n = 0 where id = 17", "delete from t where id = 3")
    daybreak("reconcile", code=3)
    before = read(daybreak("metrics"))
    assert [of(before, f"parity_{name}") for name in ("source_rows", "warehouse_rows", "missing", "extra", "different")] == [
        29,
        30,
        0,
        1,
        1,
    ]
    assert (of(before, "gaps", kind="rows_differ"), of(before, "gaps", kind="never_loaded")) == (1, 0)
    assert of(before, "parity_healed", how="reread") == 0
    daybreak("reconcile", "--heal")
    after = read(daybreak("metrics"))
    assert [of(after, f"parity_{name}") for name in ("source_rows", "warehouse_rows", "missing", "extra", "different")] == [29, 29, 0, 0, 0]
    assert (of(after, "parity_healed", how="reread"), of(after, "parity_healed", how="deleted")) == (1, 1)
    assert of(after, "gaps", kind="rows_differ") == 0
    assert (of(after, "table_rows"), of(after, "table_held"), of(after, "table_quarantined_open")) == (29, 0, 0)
    compared_at = of(after, "parity_compared_timestamp_seconds")
    assert compared_at is not None
    assert 0 <= datetime.now(UTC).timestamp() - compared_at < 300
    assert [of(after, f"parity_{name}") for name in ("kept", "marked", "late", "in_flight")] == [0, 0, 0, 0]


def test_ages_and_days_are_those_of_the_mirror(project: Project) -> None:
    project.run("create table t (id int primary key, at timestamptz)", "insert into t values (1, '2026-03-01'), (2, '2026-03-09')")
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-03-01"})
    project.sync("t")
    mirror = open_mirror(project.settings.state_url)
    wanted = new_backfill("shop.t", DayRange(date(2026, 3, 1), date(2026, 3, 9)), "why", None)
    save_backfill(mirror, replace(wanted, next_day=date(2026, 3, 4), share=0.4))
    as_of = mirror.status("shop.t").data_as_of
    assert as_of
    text = write_text(make_registry(list_samples(project.settings, mirror, as_of + timedelta(seconds=90))))
    numbers = read(text)
    assert (of(numbers, "table_data_age_seconds"), of(numbers, "table_data_timestamp_seconds")) == (90, as_of.timestamp())
    assert [of(numbers, f"backfill_{name}") for name in ("days_total", "days_done", "share")] == [8, 3, 0.4]
    assert of(numbers, "restated_days") == 0


def test_a_table_that_was_never_loaded_has_a_gap_and_no_rows(project: Project) -> None:
    name = 'odd "name"\\'
    project.declare(name, "incremental", key=["id"], cursor="at")
    assert project.settings.sources()  # which writes the catalog
    numbers = read(daybreak("metrics"))
    assert of(numbers, "gaps", f"shop.{name}", kind="never_loaded") == 1
    assert of(numbers, "table_held", f"shop.{name}") == 0
    assert of(numbers, "table_rows", f"shop.{name}") is None
    assert of(numbers, "parity_missing", f"shop.{name}") is None


def test_a_file_is_written_whole_and_nothing_is_printed(project: Project, tmp_path: Path) -> None:
    make_orders(project)
    (project.home / "warehouse.duckdb").unlink()  # it is not asked
    file = tmp_path / "daybreak.prom"
    assert daybreak("metrics", "--output", str(file)) == ""
    assert of(read(file.read_text()), "table_rows") == 30
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("daybreak")] == ["daybreak.prom"]


def test_a_file_that_cannot_be_written_is_told(project: Project, tmp_path: Path) -> None:
    make_orders(project)
    assert "No such file or directory" in daybreak("metrics", "--output", str(tmp_path / "nowhere" / "daybreak.prom"), code=2)
