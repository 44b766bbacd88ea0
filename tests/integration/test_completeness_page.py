"""The page of proof on a small real project: a difference is on it with its counts, and gone once it is healed."""

import re
from datetime import timedelta
from html import unescape

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from pipelines.delivery.completeness_data import completeness_file, make_page, refresh_completeness
from pipelines.sync.model import DayRange
from pipelines.wiring import open_mirror
from tests.conftest import TODAY, Project
from tests.integration.comparing import make_orders

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def environment(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in project.settings.environment.items():
        monkeypatch.setenv(name, value)


def daybreak(*arguments: str) -> str:
    return CliRunner().invoke(app, list(arguments)).output


def read_page(project: Project) -> str:
    html = completeness_file(project.settings).read_text()
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html.partition("<main>")[2])).split())


def test_a_difference_is_on_the_page_and_gone_once_it_is_healed(project: Project) -> None:
    make_orders(project, deletes="reconcile")
    refresh_completeness(project.settings)
    assert "No table was compared with its source yet" in read_page(project)
    project.run("update t set n = 0 where id = 17", "delete from t where id = 3")
    daybreak("reconcile")
    told = read_page(project)
    assert "1 of 1 table differs from its source, as of " in told
    assert re.search(r"shop\.t differs 29 ≠ 30 \S+ \S+ 0 1 1 0 0 0 0 0 0 ", told)
    assert "shop.t 2 rows are not as in the source daybreak reconcile shop t --heal" in told
    daybreak("reconcile", "--heal")
    told = read_page(project)
    assert "The one table equals its source, as of " in told
    assert re.search(r"shop\.t equal 29 = 29 \S+ \S+ 0 0 0 1 1 0 0 0 0 ", told)
    assert "Nothing is missing" in told


def test_a_page_that_says_the_same_is_not_written_again(project: Project) -> None:
    make_orders(project)
    first = refresh_completeness(project.settings)
    stamp = first.path.stat().st_mtime_ns
    second = refresh_completeness(project.settings)
    assert (first.status, second.status, second.version) == ("published", "unchanged", first.version)
    assert first.path.stat().st_mtime_ns == stamp
    first.path.unlink()
    assert refresh_completeness(project.settings).status == "published"
    daybreak("reconcile")
    assert "The one table equals its source" in read_page(project)


def test_a_back_fill_and_the_days_that_it_restated_are_on_the_page(project: Project) -> None:
    project.run(
        "create table t (id int primary key, name text, at timestamptz)",
        f"insert into t select i, 'a', '{TODAY}'::timestamptz - i * interval '1 day' + interval '1 h' from generate_series(1, 9) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 1})
    project.commit("t")
    refresh_completeness(project.settings)
    assert "No day that had been loaded changed in the last week" in read_page(project)
    project.run("update t set name = 'b'")
    project.sync("t")  # the look-back, which is no restatement
    mirror = open_mirror(project.settings.state_url)
    assert make_page(project.settings, mirror).restated == ()
    first, last = TODAY - timedelta(days=8), TODAY - timedelta(days=6)
    daybreak("backfill", "shop", "t", str(first), str(last))
    told = read_page(project)
    assert f"shop.t {first} to {last} done 3 of 3 days 3 – " in told
    (restated,) = make_page(project.settings, mirror).restated
    assert (restated.first, restated.last, restated.why) == (first, last, "asked for by `daybreak backfill`")
    assert f"shop.t {first} to {last} " in told.partition("Restated days")[2]


def test_days_that_are_loaded_late_for_the_first_time_are_not_restated(project: Project) -> None:
    project.run(
        "create table t (id int primary key, at timestamptz)",
        f"insert into t select i, '{TODAY}'::timestamptz - i * interval '1 day' + interval '1 h' from generate_series(1, 9) i",
    )
    project.declare("t", "partitioned", key=["id"], partition={"column": "at", "start": "2026-01-01", "lookback_days": 1})
    project.sync("t", DayRange(TODAY - timedelta(days=3), TODAY))
    project.sync("t", DayRange(TODAY - timedelta(days=9), TODAY - timedelta(days=3)))
    assert make_page(project.settings, open_mirror(project.settings.state_url)).restated == ()


def test_a_name_with_quotes_and_markup_is_told_as_it_is(project: Project) -> None:
    name = """we'ird "<b>" t"""
    quoted = '"' + name.replace('"', '""') + '"'
    project.run(f"create table {quoted} (id int primary key, at timestamptz)", f"insert into {quoted} values (1, '2026-03-01')")
    project.declare(name, "incremental", key=["id"], cursor="at")
    project.sync(name)
    daybreak("reconcile")
    html = completeness_file(project.settings).read_text()
    assert "The one table equals its source" in html
    assert "<b>" not in html
    assert f"shop.{name} equal 1 = 1" in " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())
