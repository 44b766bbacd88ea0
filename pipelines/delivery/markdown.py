"""Text of others in markdown: names, reasons and keys that must be shown and never be taken for markup."""

import re
from collections.abc import Sequence

# As entities, which no parser takes for markup; a backslash before a pipe is read differently by different ones.
_ENTITIES = {ord(character): f"&#{ord(character)};" for character in "\\`*[]<>|~&"}
# An underscore inside a word is only an underscore, and most names have some.
_OUTER_UNDERSCORE = re.compile(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])")


def escape_markdown(text: object) -> str:
    """Return text that is shown as it is, on one line, also in a cell of a table."""
    line = " ".join(str(text).split())
    return _OUTER_UNDERSCORE.sub("&#95;", line.translate(_ENTITIES))


def write_table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a markdown table; every cell is escaped."""
    cells = [head, ["---"] * len(head), *([escape_markdown(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
