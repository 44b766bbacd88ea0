"""The figures as Vega-Lite specs, built with Altair: one function per chart.

A spec carries its own few rows, every word that a tooltip says already written, and a description for those who do not
see it. Days are drawn in UTC: a date has no time zone, and a browser west of Greenwich would show the day before.
Altair (1.4 CPU s) is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.delivery.figures import Figures, Funnel, Share
from pipelines.delivery.theme import SERIES, make_chart_config
from pipelines.delivery.wording import write_count, write_day, write_money, write_percent

if TYPE_CHECKING:
    import altair as alt

SHORTEST_AXIS_DAYS = 14  # one day of data is a bar, not a wall
FUNNEL_STEPS = ("Sessions", "With a cart", "With a purchase")


def draw_revenue(figures: Figures, currency: str) -> dict[str, Any]:
    """A bar per day and the seven-day average as a line, in units of `currency` (ISO 4217); ValueError without a single day."""
    import altair as alt

    days = figures.revenue
    rows = [
        {
            "day": each.day.isoformat(),
            "net": float(each.net_revenue),
            "average": float(each.net_revenue_average),
            "Day": write_day(each.day),
            "Net revenue": write_money(each.net_revenue, currency),
            "Average of 7 days": write_money(each.net_revenue_average, currency),
            "Orders": write_count(each.order_count),
            "Refunds": write_money(each.refunds, currency),
        }
        for each in days
    ]
    base = alt.Chart(_inline(rows)).encode(
        x=_day_axis([each.day for each in days]),
        tooltip=_tooltip("Day", "Net revenue", "Average of 7 days", "Orders", "Refunds"),
    )
    bars = base.mark_bar(color="var(--bar)", cornerRadiusEnd=2, binSpacing=0, width={"band": 0.8}).encode(
        y=alt.Y("net:Q", axis=_money_axis())
    )
    average = base.mark_line(
        color="var(--trend)",
        strokeWidth=2.5,
        interpolate="monotone",
        point=_dot([each.day for each in days], "var(--trend)"),
    )
    return _finish(
        [bars, average.encode(y="average:Q")],
        f"Bars: net revenue of each day from {write_day(days[0].day)} to {write_day(days[-1].day)}, line: its average "
        f"over seven days, at the end {write_money(days[-1].net_revenue_average, currency, decimals=0)}.",
        height=280,
    )


def draw_order_statuses(figures: Figures) -> dict[str, Any]:
    """A bar per status, the most frequent first, labelled with its number of orders."""
    return _draw_ranking(
        figures.order_statuses,
        [write_count(int(share.amount)) for share in figures.order_statuses],
        ("Status", "Orders"),
        colour="var(--series-2)",
    )


def draw_countries(figures: Figures, currency: str) -> dict[str, Any]:
    """A bar per country, the highest revenue first, labelled in whole units of `currency` (ISO 4217)."""
    return _draw_ranking(
        figures.countries,
        [write_money(share.amount, currency, decimals=0) for share in figures.countries],
        ("Country", "Revenue"),
        colour="var(--bar)",
    )


def draw_funnel(figures: Figures) -> dict[str, Any]:
    """Per step of the last seven days a bar for each device; labels say the share of that device's sessions."""
    import altair as alt

    devices = _order_devices(figures)
    rows = [row for funnel in figures.funnel_week for row in _funnel_rows(funnel)]
    base = alt.Chart(_inline(rows)).encode(
        y=alt.Y("step:N", sort=list(FUNNEL_STEPS), title=None, scale=alt.Scale(paddingInner=0.28)),
        yOffset=alt.YOffset("device:N", sort=devices),
        x=_bar_length_axis("sessions:Q", max((funnel.sessions for funnel in figures.funnel_week), default=0)),
        tooltip=_tooltip("Device", "Step", "Sessions", "Of all sessions"),
    )
    bars = base.mark_bar(cornerRadiusEnd=2).encode(color=_device_colour(devices))
    labels = base.mark_text(align="left", dx=6).encode(text="label:N")
    share = "; ".join(f"{each.device}: {write_percent(each.purchase_rate)} buy" for each in figures.funnel_week)
    return _finish(
        [bars, labels],
        f"Sessions, those with a cart and those with a purchase, per device, in the last seven days. {share}.",
        height=max(230, 3 * (20 * len(devices) + 14)),
    )


def draw_conversion(figures: Figures) -> dict[str, Any]:
    """A line per device; a day without sessions has no point. ValueError without a single day."""
    import altair as alt

    devices = _order_devices(figures)
    rows = [
        {
            "day": each.day.isoformat(),
            "device": each.funnel.device,
            "rate": float(rate),
            "Day": write_day(each.day),
            "Device": each.funnel.device,
            "Purchase rate": write_percent(rate, decimals=2),
            "Sessions": write_count(each.funnel.sessions),
        }
        for each in figures.conversion
        if (rate := each.funnel.purchase_rate) is not None
    ]
    days = sorted({each.day for each in figures.conversion})
    axis = alt.Axis(title=None, format="~%", grid=True, tickCount=5)
    lines = (
        alt.Chart(_inline(rows))
        .mark_line(strokeWidth=2.5, interpolate="monotone", point=_dot(days))
        .encode(
            x=_day_axis(days),
            y=alt.Y("rate:Q", axis=axis),
            color=_device_colour(devices),
            tooltip=_tooltip("Day", "Device", "Purchase rate", "Sessions"),
        )
    )
    return _finish(
        [lines],
        f"Share of sessions that end in a purchase, per device, averaged over seven days, "
        f"from {write_day(days[0])} to {write_day(days[-1])}.",
        height=260,
    )


def _draw_ranking(shares: Sequence[Share], labels: Sequence[str], titles: tuple[str, str], *, colour: str) -> dict[str, Any]:
    import altair as alt

    name, amount = titles
    rows = [
        {"name": share.name, "amount": float(share.amount), "label": label, name: share.name, amount: label}
        for share, label in zip(shares, labels, strict=True)
    ]
    base = alt.Chart(_inline(rows)).encode(
        y=alt.Y("name:N", sort=[share.name for share in shares], title=None, scale=alt.Scale(padding=0.25)),
        x=_bar_length_axis("amount:Q", float(max((share.amount for share in shares), default=0))),
        tooltip=_tooltip(name, amount),
    )
    bars = base.mark_bar(color=colour, cornerRadiusEnd=2)
    told = "; ".join(f"{share.name}: {label}" for share, label in zip(shares, labels, strict=True))
    texts = base.mark_text(align="left", dx=6).encode(text="label:N")
    return _finish([bars, texts], f"{amount} per {name.lower()}. {told}.", height=30 * max(len(shares), 3))


def _finish(layers: Sequence[alt.Chart], description: str, *, height: int) -> dict[str, Any]:
    """As wide as its place in the page. Altair's own theme is left out, the page's config stands in every spec."""
    import altair as alt

    autosize = alt.AutoSizeParams(type="fit-x", contains="padding")
    chart = alt.LayerChart(layer=list(layers), width="container", height=height, autosize=autosize)
    spec: dict[str, Any] = chart.properties(description=description).to_dict()
    return {**spec, "config": make_chart_config()}


def _inline(rows: Sequence[Mapping[str, object]]) -> alt.InlineData:
    import altair as alt

    return alt.InlineData(values=[dict(row) for row in rows])


def _day_axis(days: Sequence[date]) -> alt.X:
    import altair as alt

    last = max(days)
    first = min(*days, last - timedelta(days=SHORTEST_AXIS_DAYS - 1))
    end = last + timedelta(days=1)  # half open: the bar of the last day needs its room
    interval = {"interval": "week", "step": 2} if (end - first).days > 35 else {"interval": "day", "step": 3}
    bounds = [alt.DateTime(year=day.year, month=day.month, date=day.day, utc=True) for day in (first, end)]
    return alt.X(
        "day:T",
        timeUnit="utcyearmonthdate",
        bandPosition=0.5,
        scale=alt.Scale(domain=bounds),
        axis=alt.Axis(title=None, format="%-d %b", tickCount=interval, labelOverlap=True, labelSeparation=10),
    )


def _money_axis() -> alt.Axis:
    import altair as alt

    # Below a thousand not "~s": it writes half a euro as €500m, for milli.
    thousands = "format(datum.value, abs(datum.value) < 1000 ? '$,~f' : '$~s')"
    return alt.Axis(title=None, labelExpr=thousands, grid=True, tickCount=5)


def _dot(days: Sequence[date], colour: str | None = None) -> alt.OverlayMarkDef | bool:
    """A line of one point is invisible."""
    import altair as alt

    return alt.OverlayMarkDef(size=60, color=colour or alt.Undefined) if len(days) == 1 else False


def _bar_length_axis(field: str, longest: float) -> alt.X:
    """No axis: each bar says its number, and has room for it at the right."""
    import altair as alt

    return alt.X(field, axis=None, scale=alt.Scale(domainMax=longest * 1.3 or 1))


def _order_devices(figures: Figures) -> list[str]:
    """Those of this week by size, then those seen before: one order, so that a device has one colour in all charts."""
    current = [funnel.device for funnel in figures.funnel_week]
    return current + sorted({each.funnel.device for each in figures.conversion} - set(current))


def _device_colour(devices: Sequence[str]) -> alt.Color:
    import altair as alt

    colours = [SERIES[position % len(SERIES)] for position in range(len(devices))]
    return alt.Color("device:N", scale=alt.Scale(domain=list(devices), range=colours))


def _tooltip(*fields: str) -> list[alt.Tooltip]:
    import altair as alt

    return [alt.Tooltip(field=field, type="nominal") for field in fields]


def _funnel_rows(funnel: Funnel) -> list[dict[str, object]]:
    steps = zip(FUNNEL_STEPS, (funnel.sessions, funnel.carts, funnel.purchases), strict=True)
    rates = (None, funnel.cart_rate, funnel.purchase_rate)
    return [
        {
            "device": funnel.device,
            "step": step,
            "sessions": sessions,
            "label": write_count(sessions) + (f"  ·  {write_percent(rate)}" if rate is not None else ""),
            "Device": funnel.device,
            "Step": step,
            "Sessions": write_count(sessions),
            "Of all sessions": write_percent(rate) if rate is not None else "100.0%",
        }
        for (step, sessions), rate in zip(steps, rates, strict=True)
    ]
