"""The page as text: its numbers, its escaping, and that it loads nothing. What a browser makes of it: tests/e2e."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from html import escape
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest

from pipelines.delivery.morning import ChartName, render_morning, render_png
from pipelines.delivery.page import MorningPage
from pipelines.delivery.theme import DARK, LIGHT
from tests.unit.test_dashboard_example import PUBLISHED_AT, make_page, make_troubled_page

HOSTILE = "</script><script>alert('x')</script><!-- daybreak:banner -->&"


class Elements(HTMLParser):
    """Every element with its attributes; html.parser treats the inside of a script as text, as browsers do."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def html() -> str:
    return render_morning(make_page())


def read_chart_data(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="chart-data">(.*?)</script>', html, re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def empty_tables(page: MorningPage) -> MorningPage:
    nothing = pa.table({})
    return replace(page, daily_revenue=nothing, daily_funnel=nothing, orders_by_status=nothing, top_countries=nothing, models=())


def test_page_says_when_its_data_is_from(html: str) -> None:
    assert "Mon 2 Nov 2026, 05:58 CET" in html
    assert '<meta name="daybreak-data-as-of" content="2026-11-02T04:58:12+00:00">' in html


def test_page_shows_the_numbers_of_the_marts(html: str) -> None:
    page = make_page()
    yesterday = page.daily_revenue.to_pylist()[-2]
    assert f'<p class="value">€{yesterday["net_revenue"]:,.0f}</p>' in html
    assert f'<p class="value">{yesterday["order_count"]}</p>' in html
    assert f'<td class="number">€{yesterday["refunds"]:,.2f}</td>' in html
    assert '<td class="number">28,310</td>' in html
    assert "€48,210.00" in html


def test_a_day_that_is_not_over_is_nowhere_on_the_page(html: str) -> None:
    assert "Sun 1 Nov" in html
    (rows,) = read_chart_data(html)["charts"]["revenue"]["datasets"].values()
    days = {row["day"] for row in rows}
    assert "2026-11-01" in days
    assert "2026-11-02" not in days


def test_page_loads_nothing_from_outside(html: str) -> None:
    loads = [
        (tag, name, value)
        for tag, attributes in Elements(html).found
        for name, value in attributes.items()
        if name in {"src", "href", "srcset", "action", "data", "poster"}
    ]
    # The page beside it is a link, and nothing that is loaded.
    assert all(value is not None and (value.startswith(("#", "data:")) or value == "completeness.html") for _, _, value in loads), loads
    assert "@import" not in html
    assert "url(" not in "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert "default-src 'none'" in html


def test_page_is_about_a_megabyte_with_vega_in_it_once(html: str) -> None:
    assert len(html.encode()) < 1_200_000
    assert html.count("window.vegaEmbed=") == 1


@pytest.mark.parametrize("place", ["title", "table", "reason", "device", "country"])
def test_markup_in_data_stays_text(place: str) -> None:
    page = make_page()
    first, *others = page.tables
    funnel, countries = page.daily_funnel, page.top_countries
    match place:
        case "title":
            page = replace(page, title=HOSTILE)
        case "table":
            page = replace(page, tables=(replace(first, table=HOSTILE), *others))
        case "reason":
            page = replace(page, tables=(replace(first, held_reason=HOSTILE), *others))
        case "device":
            page = replace(page, daily_funnel=set_column(funnel, "device", HOSTILE))
        case "country":
            page = replace(page, top_countries=set_column(countries, "country", HOSTILE))
    html = render_morning(page)
    assert HOSTILE not in html
    assert escape(HOSTILE, quote=False)[:9] in html
    assert sum(tag == "script" for tag, _ in Elements(html).found) == 4
    assert html.count("<!-- daybreak:banner -->") == 1
    read_chart_data(html)


def set_column(table: pa.Table, name: str, value: str) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array([value] * table.num_rows))


def test_troubles_are_named_on_top_and_stand_first_in_their_table() -> None:
    html = render_morning(make_troubled_page())
    assert "This morning: 1 table held, 1 model left out, 2 with failed checks or no data" in html
    assert "4 need attention" in html
    rows = re.findall(r'<th scope="row">(shop\.\w+)</th>', html)
    assert rows[:3] == ["shop.addresses", "shop.products", "shop.customers"]
    assert "it descends from shop.products, which is held." in html


def test_a_good_morning_has_no_notice(html: str) -> None:
    assert "All passed" in html
    assert '<aside class="notice warn" role="status">' not in html


@pytest.mark.parametrize("page", [make_page(days=0), empty_tables(make_page())], ids=["no rows", "no columns"])
def test_empty_tables_give_a_page_that_says_so(page: MorningPage) -> None:
    html = render_morning(page)
    assert html.count('<p class="none">No data yet</p>') >= 5
    assert read_chart_data(html)["charts"] == {}


def test_one_day_of_data_is_shown_without_a_comparison() -> None:
    html = render_morning(make_page(days=1))
    assert html.count("No Sunday a week ago to compare with") == 4
    assert len(read_chart_data(html)["charts"]) == 5


def test_naive_instants_are_utc() -> None:
    aware = make_page()
    assert aware.data_as_of is not None
    naive = replace(
        aware,
        published_at=PUBLISHED_AT.replace(tzinfo=None),
        data_as_of=aware.data_as_of.replace(tzinfo=None),
    )
    assert render_morning(naive) == render_morning(aware)


def test_same_page_renders_to_the_same_bytes(html: str) -> None:
    assert render_morning(make_page()) == html
    assert render_morning(make_page(published_at=PUBLISHED_AT + timedelta(days=1))) != html


@pytest.mark.parametrize("chart", ["revenue", "funnel"])
def test_png_for_chat(chart: ChartName) -> None:
    picture = render_png(make_page(), chart)
    assert picture.startswith(b"\x89PNG\r\n")


def test_png_without_data_is_refused() -> None:
    with pytest.raises(ValueError, match="no data yet for the chart `revenue`"):
        render_png(make_page(days=0))


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_colours_can_be_told_apart(palette: dict[str, str]) -> None:
    for ground in ("page", "card"):
        for text in ("ink", "muted", "good", "bad", "warn", "accent"):
            assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
    for ground in ("bad-card", "warn-card"):
        assert contrast(palette["ink"], palette[ground]) >= 4.5, ground
    for mark in ("bar", "trend", *(name for name in palette if name.startswith("series-"))):
        assert contrast(palette[mark], palette["card"]) >= 3, mark


def contrast(one: str, other: str) -> float:
    """WCAG 2.2: (lighter + 0.05) / (darker + 0.05) of the relative luminances."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("module", ["page", "publish", "morning", "banner", "proof", "completeness"])
def test_importing_costs_nothing(module: str) -> None:
    heavy = "{'altair', 'vl_convert', 'pandas', 'pyarrow', 'jinja2', 'dagster'}"
    code = f"import sys, pipelines.delivery.{module}; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
