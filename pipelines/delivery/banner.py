"""The words on a page that could not be replaced, and the page that stands where none was ever published.

A banner goes between two fixed markers that every page has, so that setting it again changes nothing. The rest of the
page stays as it was, byte for byte. Whether a page is stale is not decided here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from html import unescape

from markupsafe import Markup

from pipelines.delivery.pages import list_pages
from pipelines.delivery.templates import render_template
from pipelines.delivery.wording import localize, write_instant

BANNER_START, BANNER_END = "<!-- daybreak:banner -->", "<!-- /daybreak:banner -->"
_SLOT = re.compile(f"{BANNER_START}.*?{BANNER_END}", re.DOTALL)


@dataclass(frozen=True)
class StaleBanner:
    """Since when the page could not be replaced, and the sentences that say why."""

    since: datetime  # UTC: the first run since the page was published that could not replace it
    reasons: tuple[str, ...]


def with_stale_banner(html: str, banner: StaleBanner) -> str:
    """The page with this banner instead of any that it had; an empty page gets the new reasons instead.

    ValueError if `html` is not a page of this project.
    """
    markers = len(_SLOT.findall(html))
    if markers != 1:
        raise ValueError(
            f"A page has one place for a banner and this one has {markers}, so it was not made by Daybreak. Nothing "
            "was changed. Publish `empty_page(banner)` in its place, or restore the newest file of its versions folder."
        )
    time_zone = _read(html, _fact("time-zone")) or "UTC"
    if not _read(html, _fact("published-at")):
        return empty_page(banner, title=_read(html, "<title>([^<]*)</title>"), time_zone=time_zone)
    data_as_of = _read(html, _fact("data-as-of"))
    text = render_template(
        "stale.html",
        data_as_of=write_instant(datetime.fromisoformat(data_as_of), time_zone) if data_as_of else None,
        since=write_instant(banner.since, time_zone),
        reasons=banner.reasons,
    )
    return _SLOT.sub(lambda _: f"{BANNER_START}\n{text}\n{BANNER_END}", html)


def empty_page(banner: StaleBanner, *, title: str = "Morning", time_zone: str = "UTC") -> str:
    """A whole page for a dashboard that was never published: nothing to show yet, and why."""
    return render_template(
        "empty.html",
        **make_frame(title, time_zone),
        since=write_instant(banner.since, time_zone),
        reasons=banner.reasons,
    )


def make_frame(
    title: str, time_zone: str, *, published_at: datetime | None = None, data_as_of: datetime | None = None
) -> dict[str, object]:
    """What templates/frame.html needs, the facts that `with_stale_banner` reads again among it."""
    return {
        "title": title,
        "time_zone": time_zone,
        "fact_published_at": write_utc(published_at),
        "fact_data_as_of": write_utc(data_as_of),
        "script_sources": "'none'",
        "banner_start": Markup(BANNER_START),
        "banner_end": Markup(BANNER_END),
        "pages": list_pages(title),
    }


def write_utc(instant: datetime | None) -> str:
    """ISO 8601 for machines; empty for None."""
    return "" if instant is None else localize(instant, "UTC").isoformat()


def _fact(name: str) -> str:
    return f'<meta name="daybreak-{name}" content="([^"]*)">'


def _read(html: str, pattern: str) -> str:
    found = re.search(pattern, html)
    return unescape(found[1]) if found else ""
