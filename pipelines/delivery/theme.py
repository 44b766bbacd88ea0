"""Colours and type of every dashboard, once, for the page's CSS and for its charts.

A chart names a colour as the CSS variable that holds it. In the page the browser resolves it, so charts follow light,
dark and print without being drawn anew (drawn as SVG, where a fill may be a variable; on a canvas it may not). For a
PNG, which has no CSS, `resolve_colours` puts in the values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# Text on its background keeps a contrast of at least 4.5, what must be told apart in a chart of 3 (a test measures it).
LIGHT: Mapping[str, str] = {
    "page": "#f8f5f0",
    "card": "#fffefb",
    "ink": "#211d18",
    "muted": "#665e54",
    "line": "#e4ddd2",
    "grid": "#eee8de",
    "accent": "#b14d12",
    "bar": "#cf7a45",
    "trend": "#274c6b",
    "good": "#1d6b45",
    "bad": "#a8281c",
    "bad-card": "#fbe9e5",
    "warn": "#7d5200",
    "warn-card": "#fdf0d2",
    "series-1": "#c0652f",
    "series-2": "#2f6690",
    "series-3": "#5a8a3c",
    "series-4": "#8b5a9b",
    "series-5": "#5f6b74",
}
DARK: Mapping[str, str] = {
    "page": "#131417",
    "card": "#1b1d21",
    "ink": "#eeeae3",
    "muted": "#a8a198",
    "line": "#32353b",
    "grid": "#282b30",
    "accent": "#f2a16b",
    "bar": "#b96a3a",
    "trend": "#9cc4e4",
    "good": "#6fcf9c",
    "bad": "#ff9c8f",
    "bad-card": "#3a1f1c",
    "warn": "#f0c060",
    "warn-card": "#352a12",
    "series-1": "#e08a52",
    "series-2": "#6ea8d6",
    "series-3": "#8fbf6a",
    "series-4": "#c08fd2",
    "series-5": "#98a4ad",
}
SERIES = tuple(f"var(--{name})" for name in LIGHT if name.startswith("series-"))
FONT = "ui-sans-serif, system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Liberation Sans', sans-serif"

_VARIABLE = re.compile(r"var\(--([a-z0-9-]+)\)")


def write_css_variables(palette: Mapping[str, str]) -> str:
    """'--page: #f8f5f0; --card: #fffefb; …', to stand inside a CSS rule."""
    return " ".join(f"--{name}: {value};" for name, value in palette.items())


def resolve_colours(spec: Any, palette: Mapping[str, str]) -> Any:  # noqa: ANN401 - any node of a JSON document
    """The same spec with every variable replaced by its value; KeyError for a variable that is in no palette."""
    match spec:
        case str():
            return _VARIABLE.sub(lambda found: palette[found[1]], spec)
        case dict():
            return {key: resolve_colours(value, palette) for key, value in spec.items()}
        case list():
            return [resolve_colours(value, palette) for value in spec]
        case _:
            return spec


def make_chart_config() -> dict[str, Any]:
    """Vega-Lite's config: quiet axes, no frame, the page's own type."""
    text = {"labelColor": "var(--muted)", "titleColor": "var(--muted)", "labelFontSize": 12, "titleFontSize": 12}
    return {
        "background": "transparent",
        "font": FONT,
        "axis": {
            **text,
            "domain": False,
            "ticks": False,
            "grid": False,
            "gridColor": "var(--grid)",
            "labelPadding": 8,
            "titleFontWeight": "normal",
            "labelFont": FONT,
        },
        "legend": {**text, "symbolType": "circle", "symbolSize": 90, "orient": "top", "title": None, "offset": 8},
        "text": {"color": "var(--ink)", "fontSize": 12},
        "view": {"stroke": None},
    }
