"""The charts in the order of the page, each with its title, its caption and the same numbers as a table.

How a chart is drawn stands in `charts`, how its frame looks in templates/morning.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.delivery import charts
from pipelines.delivery.figures import SHOWN_COUNTRIES, Figures, Share
from pipelines.delivery.wording import write_count, write_day, write_money, write_percent, write_quantity


@dataclass(frozen=True)
class DataTable:
    """A chart's numbers as text. The columns after the first `text_columns` are numbers, aligned right."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: int = 1


@dataclass(frozen=True)
class Frame:
    """A chart's place on the page: its Vega-Lite spec, the words around it, and the same numbers as a table."""

    name: str
    title: str
    caption: str
    spec: dict[str, Any] | None  # None: there is nothing to draw
    table: DataTable
    width: str = ""
    keys: tuple[tuple[str, str], ...] = ()  # legend entries: text, CSS class

    @property
    def has_data(self) -> bool:
        """Whether there is a chart; where not, the page says so in its place."""
        return self.spec is not None


def make_frames(figures: Figures, currency: str) -> list[Frame]:
    """Always the same five, in the order of the page; one without data keeps its place."""
    return [
        _frame_revenue(figures, currency),
        _frame_order_statuses(figures),
        _frame_countries(figures, currency),
        _frame_funnel(figures),
        _frame_conversion(figures),
    ]


def _frame_revenue(figures: Figures, currency: str) -> Frame:
    header = ("Day", "Orders", "Gross", "Discounts", "Shipping", "Net", "Refunds", "Order value", "7-day average")
    rows = tuple(
        (
            write_day(each.day),
            write_count(each.order_count),
            *(
                write_money(amount, currency)
                for amount in (
                    each.gross_revenue,
                    each.discounts,
                    each.shipping_revenue,
                    each.net_revenue,
                    each.refunds,
                    each.average_order_value,
                    each.net_revenue_average,
                )
            ),
        )
        for each in reversed(figures.revenue)
    )
    missing = figures.missing_revenue_days
    return Frame(
        name="revenue",
        title="Net revenue per day",
        caption=f"Without a row in between: {write_quantity(missing, 'day')}." if missing else "",
        spec=charts.draw_revenue(figures, currency) if figures.revenue else None,
        table=DataTable("Revenue per day, newest first", header, rows),
        width="wide",
        keys=(("Net revenue", "bar"), ("Average of 7 days", "trend")),
    )


def _frame_order_statuses(figures: Figures) -> Frame:
    shares = figures.order_statuses
    return Frame(
        name="statuses",
        title="Orders by status",
        caption="Orders of the last 30 days",
        spec=charts.draw_order_statuses(figures) if shares else None,
        table=DataTable("Orders by status", ("Status", "Orders", "Share"), _rank(shares)),
    )


def _frame_countries(figures: Figures, currency: str) -> Frame:
    shares = figures.countries
    rows = tuple((share.name, write_money(share.amount, currency)) for share in shares)
    return Frame(
        name="countries",
        title="Top countries",
        caption=f"Revenue, up to {SHOWN_COUNTRIES} countries",
        spec=charts.draw_countries(figures, currency) if shares else None,
        table=DataTable("Revenue by country", ("Country", "Revenue"), rows),
    )


def _frame_funnel(figures: Figures) -> Frame:
    rows = tuple(
        (
            each.device,
            *(write_count(step) for step in (each.sessions, each.carts, each.purchases)),
            write_percent(each.cart_rate),
            write_percent(each.purchase_rate, decimals=2),
        )
        for each in figures.funnel_week
    )
    header = ("Device", "Sessions", "With a cart", "With a purchase", "Cart rate", "Purchase rate")
    return Frame(
        name="funnel",
        title="From session to purchase",
        caption=f"Sessions of the seven days to {write_day(figures.last_day, year=False)}, and their share of all",
        spec=charts.draw_funnel(figures) if figures.funnel_week else None,
        table=DataTable("Funnel by device, last seven days", header, rows),
    )


def _frame_conversion(figures: Figures) -> Frame:
    rows = tuple(
        (
            write_day(each.day),
            each.funnel.device,
            *(write_count(step) for step in (each.funnel.sessions, each.funnel.carts, each.funnel.purchases)),
            write_percent(each.funnel.purchase_rate, decimals=2),
        )
        for each in reversed(figures.funnel_days)
    )
    header = ("Day", "Device", "Sessions", "With a cart", "With a purchase", "Purchase rate")
    return Frame(
        name="conversion",
        title="Conversion over time",
        caption="Sessions that end in a purchase, average of 7 days",
        spec=charts.draw_conversion(figures) if figures.conversion else None,
        table=DataTable("Sessions per day and device, newest first; rates of the day itself", header, rows, 2),
    )


def _rank(shares: Sequence[Share]) -> tuple[tuple[str, ...], ...]:
    total = sum(share.amount for share in shares)
    return tuple((share.name, write_count(int(share.amount)), write_percent(share.amount / total if total else None)) for share in shares)
