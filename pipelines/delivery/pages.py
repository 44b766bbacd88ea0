"""The pages that stand beside each other in the folder of dashboards, and the links between them: relative, so the folder can be moved."""

from __future__ import annotations

MORNING, COMPLETENESS = "morning", "completeness"
COMPLETENESS_TITLE = "Completeness"


def list_pages(title: str, *, has_morning: bool = True) -> list[tuple[str, str | None]]:
    """Return the title and the link of each page; the one called ``title`` is open and needs none."""
    if title == COMPLETENESS_TITLE:
        return [*([("Morning", f"{MORNING}.html")] if has_morning else []), (title, None)]
    return [(title, None), (COMPLETENESS_TITLE, f"{COMPLETENESS}.html")]
