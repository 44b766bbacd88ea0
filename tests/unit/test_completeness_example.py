"""An invented night: an example page of proof, for the other tests of it and for looking at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from pipelines.delivery.completeness import render_completeness
from pipelines.delivery.page import RestatedDays
from pipelines.delivery.proof import BackfillState, Comparison, CompletenessPage, Missing, TableProof

PUBLISHED_AT = datetime(2026, 11, 2, 5, 4, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 2, 3, 2, 11, tzinfo=UTC)
COUNTS = {
    "shop.customers": 41_204,
    "shop.addresses": 60_118,
    "shop.products": 1_284,
    "shop.orders": 1_902_377,
    "shop.order_items": 4_377_902,
    "shop.payments": 1_744_021,
    "shop.events": 28_310_466,
}
RESTATED = RestatedDays("shop.events", date(2026, 3, 1), date(2026, 3, 31), NIGHT, "asked for by `daybreak backfill`")


def make_proof(table: str, rows: int, *, as_of: datetime = NIGHT) -> TableProof:
    source, _, name = table.partition(".")
    compared = Comparison(
        "equal",
        rows,
        rows,
        in_flight=rows // 90_000,
        buckets=40,
        hashed_buckets=40,
        oldest_at=as_of,
        source_as_of=as_of,
        warehouse_as_of=as_of,
    )
    return TableProof(table, f"daybreak reconcile {source} {name}", compared)


def make_proofs() -> CompletenessPage:
    """A night on which everything was equal, and something was healed."""
    tables = [make_proof(name, rows, as_of=NIGHT + timedelta(seconds=9 * rank)) for rank, (name, rows) in enumerate(COUNTS.items())]
    customers, *others, events = tables
    assert customers.compared
    assert events.compared
    healed = replace(customers, compared=replace(customers.compared, reread=3, deleted=1, marked=8, left_out=("email", "phone")))
    ranges = replace(events, compared=replace(events.compared, hashed_buckets=9, buckets=64, oldest_at=NIGHT - timedelta(days=6)))
    return CompletenessPage(PUBLISHED_AT, "Europe/Berlin", 26, (healed, *others, ranges), has_morning=True)


def make_troubled_proofs() -> CompletenessPage:
    """The night after: tables that differ, one that was never compared, one not lately; gaps, back-fills and restated days."""
    page = make_proofs()
    customers, addresses, products, orders, items, *others = page.tables
    assert orders.compared
    assert products.compared
    assert items.compared
    differs = replace(
        orders.compared, outcome="differs", warehouse_rows=1_902_375, missing=3, extra=1, different=12, unsettled=2, reread=240
    )
    guard = "nothing was deleted: 900 of 1,284 rows are gone from the source, and more than 64 wait for a person"
    held = replace(products.compared, outcome="held", source_rows=384, extra=900, reason=guard, quarantined=4, kept=0)
    old = replace(items.compared, source_as_of=NIGHT - timedelta(days=3), oldest_at=NIGHT - timedelta(days=9), late=17)
    tables = (
        customers,
        replace(addresses, compared=None),
        replace(products, compared=held, held_reason="`unit_price` is below 0 in 3 rows and the expectation's on_failure is `hold`."),
        replace(orders, compared=differs),
        replace(items, compared=old),
        *others,
    )
    missing = (
        Missing("shop.products", "900 rows are not as in the source", "daybreak reconcile shop products --heal", guard),
        Missing(
            "shop.events",
            "12 days were never loaded: 2026-02-01 to 2026-02-10, 2026-02-14, 2026-02-19",
            "daybreak backfill shop events 2026-02-01 2026-02-19",
            None,
        ),
    )
    march = BackfillState("shop.events", date(2025, 1, 1), date(2025, 12, 31), "running", 124, 365, 3_412_800, NIGHT, 5_400.0, 0.4)
    return replace(
        page,
        tables=tables,
        missing=missing,
        backfills=(
            replace(march, reason="365 days were never loaded: 2025-01-01 to 2025-12-31"),
            replace(
                march, first=date(2026, 5, 1), last=date(2026, 5, 9), state="died", done_days=4, all_days=9, seconds_left=None, share=None
            ),
            replace(
                march,
                first=date(2026, 3, 1),
                last=date(2026, 3, 31),
                state="done",
                done_days=31,
                all_days=31,
                seconds_left=None,
                share=None,
            ),
        ),
        restated=(RESTATED, RestatedDays("shop.events", date(2026, 10, 12), date(2026, 10, 12), NIGHT - timedelta(days=2))),
    )


def test_example_pages_can_be_drawn() -> None:
    for page in (make_proofs(), make_troubled_proofs()):
        assert render_completeness(page).startswith("<!doctype html>")
