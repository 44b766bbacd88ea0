"""A banner on a page that could not be replaced, and the page where there is none yet."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipelines.delivery.banner import BANNER_END, BANNER_START, StaleBanner, empty_page, with_stale_banner
from pipelines.delivery.morning import render_morning
from tests.unit.test_dashboard_example import PUBLISHED_AT, make_page

NEXT_DAY = PUBLISHED_AT + timedelta(days=1)
BANNER = StaleBanner(NEXT_DAY, ("shop.orders is held: 3 rows & <b>more</b>.", r"`daily_revenue` failed \1 test"))


@pytest.fixture(scope="module")
def html() -> str:
    return render_morning(make_page())


def test_banner_says_what_since_when_and_why(html: str) -> None:
    banner = with_stale_banner(html, BANNER).split(BANNER_START)[1].split(BANNER_END)[0]
    assert "This is the last good version, data as of Mon 2 Nov 2026, 05:58 CET." in banner
    assert "Since Tue 3 Nov 2026, 06:04 CET no morning run could replace it, because:" in banner
    assert "<li>shop.orders is held: 3 rows &amp; &lt;b&gt;more&lt;/b&gt;.</li>" in banner
    assert r"failed \1 test" in banner


def test_banner_twice_is_banner_once(html: str) -> None:
    once = with_stale_banner(html, BANNER)
    assert once != html
    assert with_stale_banner(once, BANNER) == once


def test_a_new_banner_replaces_the_old_and_nothing_else(html: str) -> None:
    other = StaleBanner(NEXT_DAY + timedelta(days=1), ("shop.events is held.",))
    assert with_stale_banner(with_stale_banner(html, BANNER), other) == with_stale_banner(html, other)
    before, after = html.split(BANNER_START)[0], html.split(BANNER_END)[1]
    changed = with_stale_banner(html, other)
    assert changed.startswith(before)
    assert changed.endswith(after)


def test_markers_in_a_reason_do_not_end_the_banner(html: str) -> None:
    hostile = StaleBanner(NEXT_DAY, (f"{BANNER_END}<script>alert(1)</script>",))
    once = with_stale_banner(html, hostile)
    assert "<script>alert(1)" not in once
    assert with_stale_banner(once, hostile) == once


def test_banner_without_reasons_is_a_sentence(html: str) -> None:
    assert "no morning run could replace it." in with_stale_banner(html, StaleBanner(NEXT_DAY, ()))


def test_empty_page_says_that_there_is_no_data_yet_and_why() -> None:
    html = empty_page(BANNER, title="Morning <1>", time_zone="Europe/Berlin")
    assert "<h2>No data yet</h2>" in html
    assert "Since Tue 3 Nov 2026, 06:04 CET" in html
    assert "<title>Morning &lt;1&gt;</title>" in html
    assert "<b>" not in html


def test_an_empty_page_does_not_become_a_last_good_version() -> None:
    html = empty_page(BANNER, title="Morning <1>", time_zone="Europe/Berlin")
    other = StaleBanner(NEXT_DAY, ("shop.events is held.",))
    assert with_stale_banner(html, BANNER) == html
    assert with_stale_banner(html, other) == empty_page(other, title="Morning <1>", time_zone="Europe/Berlin")


def test_a_page_that_is_not_ours_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValueError, match=r"Nothing was changed. Publish `empty_page"):
        with_stale_banner("<html></html>", BANNER)
