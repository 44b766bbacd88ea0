"""The morning dashboard: a `MorningPage` in, one HTML file out that loads nothing and needs no server.

Vega, Vega-Lite and vega-embed are written into the page once (0.9 MB) and draw all its charts. Publishing is
`publish`'s job, the banner of a page that could not be replaced is `banner`'s.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import Any, Literal

from markupsafe import Markup

from pipelines.delivery import health
from pipelines.delivery.banner import make_frame
from pipelines.delivery.figures import reckon_figures
from pipelines.delivery.frames import Frame, make_frames
from pipelines.delivery.page import MorningPage
from pipelines.delivery.templates import read_template, render_template
from pipelines.delivery.theme import LIGHT, resolve_colours
from pipelines.delivery.tiles import SPARKLINE_HEIGHT, SPARKLINE_WIDTH, make_tiles
from pipelines.delivery.wording import currency_prefix, write_instant

# A day and two hours: a morning run that is a little late is no alarm.
OVERDUE_HOURS = 26
PNG_WIDTH = 900

ChartName = Literal["revenue", "statuses", "countries", "funnel", "conversion"]


def render_morning(page: MorningPage) -> str:
    """One HTML file: charts, tiles, data health, and the place where a stale banner goes."""
    figures = reckon_figures(page)
    frames = make_frames(figures, page.currency)
    scripts = (_bundle_vega(), read_template("charts.js"), read_template("overdue.js"))
    return render_template(
        "morning.html",
        **make_frame(page.title, page.time_zone, published_at=page.published_at, data_as_of=page.data_as_of)
        | {"script_sources": Markup(allow_scripts(scripts))},
        **_describe_health(page),
        overdue_hours=OVERDUE_HOURS,
        published_at=write_instant(page.published_at, page.time_zone),
        tiles=make_tiles(figures, page.currency),
        sparkline_size=(SPARKLINE_WIDTH, SPARKLINE_HEIGHT),
        figures=frames,
        chart_data=Markup(_write_chart_data(frames, page.currency)),
        scripts=[Markup(script) for script in scripts],
    )


def render_png(page: MorningPage, chart: ChartName = "revenue") -> bytes:
    """One chart, light, for a chat message. ValueError when there is nothing to draw."""
    import vl_convert

    frame = next(each for each in make_frames(reckon_figures(page), page.currency) if each.name == chart)
    if frame.spec is None:
        raise ValueError(f"There is no data yet for the chart `{chart}` of `{page.title}`: send the message without it.")
    light: dict[str, Any] = resolve_colours(frame.spec, LIGHT)
    light |= {"width": PNG_WIDTH, "padding": 24, "background": LIGHT["card"], "title": _title_png(frame.title, page)}
    return vl_convert.vegalite_to_png(light, vl_version=_vega_lite_version(), scale=2, format_locale=_make_number_locale(page.currency))


def _describe_health(page: MorningPage) -> dict[str, object]:
    notices = health.list_notices(page)
    return {
        "data_as_of": health.write_data_as_of(page),
        "notices": notices,
        "notice_title": health.write_notice_title(page) if notices else "",
        "verdict": health.write_verdict(page),
        "totals": health.sum_up(page),
        "tables": health.describe_tables(page),
        "models": health.describe_models(page),
        "source_changes": health.describe_source_changes(page),
        "restated": health.describe_restated(page.restated, page.time_zone),
    }


def _write_chart_data(frames: Sequence[Frame], currency: str) -> str:
    """JSON that may stand in a script element: `</script>` and `<!--` in a name must not end or open anything."""
    data = {
        "charts": {frame.name: frame.spec for frame in frames if frame.spec is not None},
        "formatLocale": _make_number_locale(currency),
    }
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _make_number_locale(currency: str) -> dict[str, Any]:
    return {"decimal": ".", "thousands": ",", "grouping": [3], "currency": [currency_prefix(currency), ""]}


@cache
def _bundle_vega() -> str:
    """Vega's code as one script (2.5 CPU s, 0.9 MB), in the version that Altair writes specs for."""
    import vl_convert

    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=_vega_lite_version())


def _vega_lite_version() -> str:
    """'v6.4' of 'v6.4.1': vl-convert carries one release of each minor version."""
    import altair as alt

    return ".".join(alt.SCHEMA_VERSION.split(".")[:2])


def allow_scripts(scripts: Sequence[str]) -> str:
    """Hashes for the page's policy: a script that got in some other way does not run."""
    digests = (b64encode(sha256(script.encode()).digest()).decode() for script in scripts)
    return " ".join(f"'sha256-{digest}'" for digest in digests)


def _title_png(title: str, page: MorningPage) -> dict[str, Any]:
    return {
        "text": title,
        "subtitle": f"{page.title} · data as of {health.write_data_as_of(page)}",
        "anchor": "start",
        "fontSize": 20,
        "subtitleFontSize": 13,
        "color": LIGHT["ink"],
        "subtitleColor": LIGHT["muted"],
        "offset": 16,
    }
