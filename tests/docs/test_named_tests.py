"""Pages that say which test holds a promise name tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "tests").rglob("test_*.py"))
THERE = {file.stem for file in FILES} | {name for file in FILES for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("page", ["promise.md", "schema-evolution.md"])
def test_every_test_that_a_page_names_is_there(page: str) -> None:
    named = re.findall(r"`(?:\w+/)*(test_\w+)(?:::)?(…?)\S*?`", (ROOT / "docs" / page).read_text())
    assert len(named) > 10
    missing = [name for name, is_cut in named if not any(there == name or (is_cut and there.startswith(name)) for there in THERE)]
    assert missing == []
