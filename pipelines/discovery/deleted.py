"""What a staging model does about rows that are marked as deleted: it leaves them out, and says so where it does. Pure.

A model is of what stands in the source, so rows that are gone must not come into sums in silence. Not here: the marks themselves,
which are the warehouse's.
"""

import re

from pipelines.sync.schema import DELETED_AT

# What the raw table's YAML says of the column, and what the model's says of its rows.
COLUMN = (DELETED_AT, "When the row was found to be gone from the source; NULL in rows that stand there.")
LEFT_OUT = f"Rows that are gone from the source are left out; the raw table keeps them, with `{DELETED_AT}`."
_FROM = re.compile(r"\n(?P<indent>[ \t]*)from\b(?P<plain> source[ \t]*\r?\n(?=\)))?", re.IGNORECASE)


def write_filter(indent: str) -> str:
    """Return the lines that leave marked rows out, to go behind `from source`."""
    told = f"-- Gone from the source. To see these rows, take the filter out and select `{DELETED_AT}` behind the region."
    return f"{indent}{told}\n{indent}where {DELETED_AT} is null\n"


def add_filter(tail: str) -> str | None:
    """Return what stands behind a model's region with the filter in it; None if that is not as it was generated.

    A model that names the column already is a person's decision, and stays as it is.
    """
    found = _FROM.search(tail)
    if not found or not found["plain"]:
        return None
    lines = write_filter(found["indent"])
    newline = "\r\n" if found.group().endswith("\r\n") else "\n"
    return f"{tail[: found.end()]}{lines.replace(chr(10), newline)}{tail[found.end() :]}"
