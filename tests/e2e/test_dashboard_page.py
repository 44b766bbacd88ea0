"""The morning dashboard in a real browser: its charts are drawn, nothing is loaded, nothing is complained about."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path

import pytest

from pipelines.delivery.banner import StaleBanner, empty_page, with_stale_banner
from pipelines.delivery.completeness import render_completeness
from pipelines.delivery.morning import render_morning
from pipelines.delivery.proof import CompletenessPage
from tests.unit.test_completeness_example import make_proofs, make_troubled_proofs
from tests.unit.test_dashboard_example import make_page, make_troubled_page

CHARTS = 5
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
    "--window-size=1400,2200",
)


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        message = "No Chromium on the PATH: install the package `chromium`."
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def open_page(chromium: str, html: str, folder: Path) -> tuple[str, list[str]]:
    """The page's elements after its scripts ran, and what it wrote to the console."""
    page = folder / "morning.html"
    page.write_text(html, encoding="utf-8")
    command = [chromium, *OPTIONS, f"--user-data-dir={folder / 'profile'}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, re.findall(r"CONSOLE.*", done.stderr)


def strip_scripts(html: str) -> str:
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def test_all_charts_are_drawn_without_a_word_on_the_console(chromium: str, tmp_path: Path) -> None:
    dom, console = open_page(chromium, render_morning(make_page(published_at=datetime.now(UTC))), tmp_path)
    assert console == []
    assert 'data-charts="drawn"' in dom
    body = strip_scripts(dom)
    assert body.count('class="chart vega-embed') == CHARTS
    assert len(re.findall(r'<svg [^>]*class="marks"', body)) == CHARTS
    assert "could not be drawn" not in body
    assert body.count('aria-roledescription="bar"') > 90
    assert re.search(r'aria-label="Bars: net revenue of each day from [^"]+€[\d,]+\."', body)


def test_charts_take_their_colours_from_the_page(chromium: str, tmp_path: Path) -> None:
    dom, _ = open_page(chromium, render_morning(make_page()), tmp_path)
    marks = re.findall(r'<path aria-label[^>]*fill="([^"]+)"', strip_scripts(dom))
    assert marks
    assert all(colour.startswith("var(--") for colour in marks)


@pytest.mark.parametrize("days", [0, 1, 2])
def test_a_page_with_little_data_has_no_errors(chromium: str, tmp_path: Path, days: int) -> None:
    dom, console = open_page(chromium, render_morning(make_page(days=days)), tmp_path)
    assert console == []
    assert 'data-charts="drawn"' in dom
    assert strip_scripts(dom).count('class="chart vega-embed') == (CHARTS if days else 0)


def test_a_stale_page_still_draws_and_shows_one_banner(chromium: str, tmp_path: Path) -> None:
    banner = StaleBanner(datetime.now(UTC), ("shop.orders could not be read.",))
    dom, console = open_page(chromium, with_stale_banner(render_morning(make_troubled_page()), banner), tmp_path)
    assert console == []
    assert 'data-charts="drawn"' in dom
    assert 'id="stale"' in dom
    assert re.search(r'id="overdue" hidden', dom)


@pytest.mark.parametrize(("hours", "is_overdue"), [(2, False), (30, True)])
def test_a_page_that_nobody_replaced_says_so_by_itself(chromium: str, tmp_path: Path, hours: int, is_overdue: bool) -> None:
    published_at = datetime.now(UTC) - timedelta(hours=hours)
    dom, _ = open_page(chromium, render_morning(make_page(days=0, published_at=published_at)), tmp_path)
    assert ('id="overdue" hidden' not in dom) is is_overdue
    assert (f'<span id="overdue-hours">{hours}</span>' in dom) is is_overdue


def test_a_script_that_got_into_the_page_does_not_run(chromium: str, tmp_path: Path) -> None:
    html = render_morning(make_page(days=0)).replace("</main>", "<script>document.title = 'owned'</script></main>")
    dom, console = open_page(chromium, html, tmp_path)
    assert "<title>Morning</title>" in dom
    assert any("Content Security Policy" in line for line in console)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("make", [make_proofs, make_troubled_proofs])
def test_the_page_of_proof_fits_and_says_nothing_on_the_console(
    chromium: str, tmp_path: Path, make: Callable[[], CompletenessPage], width: int
) -> None:
    """In a frame, as Chromium's own window is never narrower than 500 pixels. Only tables may be wider than the page: they scroll."""
    html = render_completeness(make())
    measured = "const root = f.contentDocument.documentElement; document.title = `${root.scrollWidth} ${root.clientWidth}`"
    inner = escape(re.sub(r"<meta http-equiv[^>]*>", "", html))  # whose policy would hold for the frame too
    script = f"<title></title><script>onload = () => {{ {measured} }}</script>"
    frame = f'{script}<iframe id="f" srcdoc="{inner}" width="{width}" height="900"></iframe>'
    dom, _ = open_page(chromium, frame, tmp_path)
    found = re.search(r"<title>(\d+) (\d+)</title>", dom)
    assert found
    assert int(found[1]) == int(found[2]) > width - 30
    dom, console = open_page(chromium, html, tmp_path)
    assert console == []
    assert not re.search(r'id="overdue" hidden', dom)  # the example is of one night, long ago


def test_the_empty_page_opens(chromium: str, tmp_path: Path) -> None:
    dom, console = open_page(chromium, empty_page(StaleBanner(datetime.now(UTC), ("why",))), tmp_path)
    assert console == []
    assert "No data yet" in dom
