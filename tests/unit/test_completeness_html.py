"""The page of proof as text: its answer, its numbers and its escaping."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from pipelines.delivery.banner import StaleBanner, empty_page
from pipelines.delivery.completeness import render_completeness
from pipelines.delivery.completeness_rows import answer, describe_backfills, describe_tables
from pipelines.delivery.morning import render_morning
from pipelines.delivery.proof import CompletenessPage
from tests.unit.test_completeness_example import NIGHT, PUBLISHED_AT, RESTATED, make_proof, make_proofs, make_troubled_proofs
from tests.unit.test_dashboard_example import make_page
from tests.unit.test_dashboard_html import HOSTILE, Elements


@pytest.fixture(scope="module")
def html() -> str:
    return render_completeness(make_troubled_proofs())


def text_of(html: str) -> str:
    body = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_one_line_says_that_all_is_equal_and_as_of_when() -> None:
    found = answer(make_proofs())
    assert (found.state, found.text, found.notes) == ("good", "All 7 tables equal their sources, as of 04:02:11 CET", ())
    one = replace(make_proofs(), tables=make_proofs().tables[:1])
    assert answer(one).text == "The one table equals its source, as of 04:02:11 CET"


def test_an_answer_of_another_day_says_the_day() -> None:
    page = replace(make_proofs(), published_at=PUBLISHED_AT + timedelta(days=1))
    found = answer(page)
    assert found.text.endswith("as of Mon 2 Nov 2026, 04:02:11 CET")
    assert found.state == "warn"  # equal, but when? The night after it did not compare
    assert found.notes[0].startswith("Compared more than 26 hours ago: shop.customers")


def test_one_line_counts_what_differs_and_names_it() -> None:
    found = answer(make_troubled_proofs())
    assert found.state == "bad"
    assert found.text.startswith("2 of 7 tables differ from their sources, as of Fri 30 Oct 2026")  # no better than the oldest
    assert found.notes == (
        "Not equal: shop.products, shop.orders",
        "1 table was never compared",
        "Compared more than 26 hours ago: shop.order_items",
        "Held, so its rows are older ones: shop.products",
        "2 pieces of work left, see below",
    )


def test_tables_that_were_never_compared_are_not_called_equal() -> None:
    never, *others = make_proofs().tables
    found = answer(replace(make_proofs(), tables=(replace(never, compared=None), *others)))
    assert (found.state, found.text) == ("warn", "6 of 7 tables equal their sources, as of 04:02:20 CET")


def test_rows_that_may_have_changed_since_the_last_load_are_a_warning() -> None:
    proof = make_proof("shop.orders", 10)
    assert proof.compared
    compared = replace(proof.compared, outcome="differs", different=2, unsettled=2)
    found = answer(replace(make_proofs(), tables=(replace(proof, compared=compared),)))
    assert (found.state, found.text) == ("warn", "1 of 1 table differs from its source, as of 04:02:11 CET")


@pytest.mark.parametrize("tables", [(), tuple(replace(one, compared=None) for one in make_proofs().tables)], ids=["no table", "never"])
def test_the_page_is_made_before_anything_was_compared(tables: tuple[()]) -> None:
    page = CompletenessPage(PUBLISHED_AT, "UTC", 26, tables)
    html = text_of(render_completeness(page))
    assert ("No table was compared with its source yet" if tables else "The catalog names no table") in html
    assert ("compare it with: daybreak reconcile shop orders" in html) is bool(tables)
    assert "Nothing is missing" in html


def test_a_row_has_the_numbers_of_the_comparison(html: str) -> None:
    orders = describe_tables(make_troubled_proofs())[1]
    assert (orders.name, orders.state, orders.word, orders.sign) == ("shop.orders", "bad", "differs", "≠")
    assert orders.cells == ("1,902,377", "1,902,375", "04:02:38", "04:02:38", "3", "1", "12", "240", "0", "21", "0", "0", "0")
    told = "shop.orders differs 1,902,377 ≠ 1,902,375 04:02:38 04:02:38 3 1 12 240 0 21 0 0 0"
    assert told in text_of(html)
    assert "2 may have changed since the last load, as of 2 Nov 04:02; read them again with: daybreak reconcile shop orders --heal" in html


def test_what_the_proof_rests_on_is_told(html: str) -> None:
    told = text_of(html)
    assert "shop.events equal 28,310,466 = 28,310,466 04:03:05 27 Oct 04:02" in told
    assert "9 of 64 ranges read, the others stand unchanged" in told
    assert "8 gone from the source and kept with a mark; without email, phone" in told
    assert "held: nothing was deleted: 900 of 1,284 rows are gone" in told
    assert "its last load is held: `unit_price` is below 0 in 3 rows" in told
    assert "Left out of the comparison: 402 newer than the last load, 17 late, 4 in quarantine, 8 gone from the source and" in told


def test_what_is_missing_names_its_command(html: str) -> None:
    told = text_of(html)
    assert "12 days were never loaded: 2026-02-01 to 2026-02-10, 2026-02-14, 2026-02-19" in told
    assert "<code>daybreak backfill shop events 2026-02-01 2026-02-19</code>" in html
    assert "waits for a person: nothing was deleted" in told


def test_back_fills_say_how_far_they_are(html: str) -> None:
    running, died, done = describe_backfills(make_troubled_proofs())
    assert (running.word, running.done, running.percent, running.cells[:3]) == (
        "running",
        "124 of 365 days",
        33,
        ("3,412,800", "90 min", "40%"),
    )
    assert (died.word, died.state, died.cells[1:3]) == ("died", "bad", ("–", "–"))
    assert (done.word, done.percent, done.days) == ("done", 100, "2026-03-01 to 2026-03-31")
    assert "2025-01-01 to 2025-12-31 running 124 of 365 days 3,412,800 90 min 40%" in text_of(html)


def test_restated_days_are_on_both_pages(html: str) -> None:
    row = "shop.events 2026-03-01 to 2026-03-31 2 Nov 04:02 asked for by `daybreak backfill`"
    assert row in text_of(html)
    assert row in text_of(render_morning(replace(make_page(), restated=(RESTATED,))))
    assert "Restated days" not in render_morning(make_page())


def test_pages_link_to_each_other_and_to_nothing_else(html: str) -> None:
    def links(page: str) -> list[str | None]:
        return [attributes["href"] for tag, attributes in Elements(page).found if tag == "a"]

    assert links(html) == ["morning.html"]
    assert links(render_completeness(replace(make_proofs(), has_morning=False))) == []
    assert "completeness.html" in links(render_morning(make_page(days=0)))
    assert links(empty_page(StaleBanner(NIGHT, ()))) == ["completeness.html"]
    assert [attributes for tag, attributes in Elements(html).found if "src" in attributes or tag == "link"] == [
        {"rel": "icon", "href": "data:,"}
    ]


@pytest.mark.parametrize("place", ["table", "reason", "column", "gap", "backfill", "restated"])
def test_markup_in_names_and_reasons_stays_text(place: str) -> None:
    page = make_troubled_proofs()
    hostile = HOSTILE + '"><img src=x>'
    first, *others = page.tables
    assert first.compared
    match place:
        case "table":
            page = replace(page, tables=(replace(first, table=hostile, command=hostile, held_reason=hostile), *others))
        case "reason":
            page = replace(page, tables=(replace(first, compared=replace(first.compared, reason=hostile, overruled_by=hostile)), *others))
        case "column":
            page = replace(page, tables=(replace(first, compared=replace(first.compared, left_out=(hostile,))), *others))
        case "gap":
            page = replace(page, missing=(replace(page.missing[0], table=hostile, told=hostile, remedy=hostile, held=hostile),))
        case "backfill":
            page = replace(page, backfills=(replace(page.backfills[0], table=hostile, reason=hostile, note=hostile),))
        case "restated":
            page = replace(page, restated=(replace(RESTATED, table=hostile, why=hostile),))
    html = render_completeness(page)
    tags = [tag for tag, _ in Elements(html).found]
    assert (tags.count("script"), tags.count("img")) == (1, 0)
    assert hostile in unescape(html)
