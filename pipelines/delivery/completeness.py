"""The page of proof: a `CompletenessPage` in, one HTML file out that loads nothing and needs no server.

One line answers whether every table equals its source; below it stand the numbers that this rests on, and what is left to do.
"""

from __future__ import annotations

from markupsafe import Markup

from pipelines.delivery import completeness_rows as rows
from pipelines.delivery.banner import make_frame
from pipelines.delivery.morning import OVERDUE_HOURS, allow_scripts
from pipelines.delivery.pages import COMPLETENESS_TITLE, list_pages
from pipelines.delivery.proof import CompletenessPage
from pipelines.delivery.templates import read_template, render_template
from pipelines.delivery.wording import write_instant


def render_completeness(page: CompletenessPage) -> str:
    """One HTML file. It is made whatever is wrong with the data, and before anything was compared."""
    script = read_template("overdue.js")
    answer = rows.answer(page)
    return render_template(
        "completeness.html",
        **make_frame(COMPLETENESS_TITLE, page.time_zone, published_at=page.published_at, data_as_of=rows.compared_at(page))
        | {"script_sources": Markup(allow_scripts([script])), "pages": list_pages(COMPLETENESS_TITLE, has_morning=page.has_morning)},
        published_at=write_instant(page.published_at, page.time_zone),
        answer=answer,
        overdue_hours=OVERDUE_HOURS,
        left_out=rows.tell_left_out(page),
        tables=rows.describe_tables(page),
        columns=rows.COLUMNS,
        missing=page.missing,
        backfills=rows.describe_backfills(page),
        restated=rows.describe_restated(page.restated, page.time_zone),
        script=Markup(script),
    )
