"""A link from one page to another finds it, and the heading that it names."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def anchors(page: Path) -> set[str]:
    """The names that headings have in links: small letters, blanks as hyphens, nothing else but letters and digits."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_find_what_they_name(page: Path) -> None:
    bare = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    missing = []
    for link in re.findall(r"\]\(([^)\s]+)\)", bare):
        if "://" in link:
            continue
        file, _, anchor = link.partition("#")
        to = (page.parent / file).resolve() if file else page
        if not to.exists() or (anchor and to.suffix == ".md" and anchor not in anchors(to)):
            missing.append(link)
    assert missing == []
