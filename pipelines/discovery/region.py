"""The marked region of a staging model: the columns that `daybreak generate` writes, between lines that people wrote. Pure.

In a region stands one plain column a line, with an alias where the model calls it otherwise; comments stay. What is computed, cast
or joined stands outside of it. Not here: which columns there are to be (``generate``).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

DROPPED = "dropped from the source"
LONG_NAME = 80  # a line has 150 characters at most, says sqlfluff
_NAME = r'(?:"(?:[^"]|"")*"|[^\W\d]\w*)'
_BEGIN = re.compile(r"^(?P<indent>[ \t]*)-- daybreak: columns of [^\n]*, written by daybreak generate[ \t\r]*\n", re.MULTILINE)
_END = re.compile(r"^[ \t]*-- daybreak: end[ \t]*(?=\r?$)", re.MULTILINE)
_COMMENT = re.compile(r"\s*--(?P<text>[^\n]*)(?:\n|$)")
_COLUMN = re.compile(
    rf"\s*(?P<raw>{_NAME})(?:\s+as\s+(?P<alias>{_NAME}))?[ \t]*(?P<comma>,?)[ \t]*(?:--(?P<remark>[^\n]*))?[ \t\r]*(?:\n|$)", re.IGNORECASE
)
_CTE_END = re.compile(r"^\s*(from\b|,|\))", re.IGNORECASE)
_BARE = re.compile(r"[a-z_][a-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FOLDED = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*")  # of these a warehouse that folds names knows no small letters


@dataclass(frozen=True)
class Selected:
    """One column that a region selects: its raw name, what the model calls it, the comments above it, and whether its source lost it."""

    raw: str
    alias: str
    notes: tuple[str, ...] = ()
    is_dropped: bool = False


@dataclass(frozen=True)
class Region:
    """A model's text around its region, and what is in that. ``rest`` are comments behind the last column."""

    head: str
    columns: tuple[Selected, ...]
    rest: tuple[str, ...]
    tail: str
    indent: str = " " * 8

    @property
    def by_hand(self) -> dict[str, str]:
        """What the select list has outside of the region: by the column's name, the text that makes it."""
        before, behind = re.split(r"(?i)\bselect\b", self.head)[-1], re.split(r"(?i)\n\s*from\b", self.tail, maxsplit=1)[0]
        items = _split_items(re.sub(r"--[^\n]*", "", f"{before},{behind}"))
        return {read_name(found[1]): item for item in items if (found := re.search(rf"({_NAME})$", item))}


def find_region(text: str, where: str) -> Region | None:
    """Return the region of a model, or None. Raises ``ValueError`` if it is open, doubled, or has what is no plain column."""
    begins, ends = list(_BEGIN.finditer(text)), list(_END.finditer(text))
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0].start() < begins[0].end():
        raise ValueError(f"{where}: a region is one line `{write_marker('…').strip()}` and one line `-- daybreak: end` behind it")
    (begin,), (end,) = begins, ends
    columns, rest = _read(text[begin.end() : end.start()], where)
    return Region(text[: begin.start()], columns, rest, text[end.end() :], begin["indent"])


def _read(body: str, where: str) -> tuple[tuple[Selected, ...], tuple[str, ...]]:
    columns: list[Selected] = []
    notes: list[str] = []
    position, is_open = 0, True  # open: a column may follow
    while body[position:].strip():
        if comment := _COMMENT.match(body, position):
            notes.append(comment["text"].strip())
            position = comment.end()
            continue
        found = _COLUMN.match(body, position)
        if not found or not is_open:
            line = body[position:].strip().splitlines()[0]
            raise ValueError(f"{where}: `{line}` is no plain column with a comma; put it behind `-- daybreak: end`")
        remark = (found["remark"] or "").strip()
        above = (*notes, *([remark] if remark and remark != DROPPED else []))
        columns.append(Selected(read_name(found["raw"]), read_name(found["alias"] or found["raw"]), above, remark == DROPPED))
        notes, position, is_open = [], found.end(), bool(found["comma"])
    return tuple(columns), tuple(notes)


def _split_items(text: str) -> list[str]:
    """Split a select list at the commas that stand in no brackets and no quotes."""
    parts, depth, inside = [""], 0, ""
    for char in text:
        inside = "" if char == inside else inside or (char if char in "'\"" else "")
        depth += 0 if inside else (char in "([{") - (char in ")]}")
        if char == "," and not depth and not inside:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts if part.strip()]


def write_region(region: Region, table: str, keywords: frozenset[str]) -> str:
    """Return the whole model with its region as it is to be. ``table`` is the name in the first line."""
    newline = "\r\n" if "\r\n" in region.head + region.tail else "\n"
    following = re.sub(r"--[^\n]*", "", region.tail)
    has_more = not _CTE_END.match(following)
    lines = [write_marker(table)]
    for number, column in enumerate(region.columns):
        comma = "," if has_more or number + 1 < len(region.columns) else ""
        lines += [f"-- {note}".rstrip() for note in column.notes]
        lines.append(f"{_write(column, keywords)}{comma}{f' -- {DROPPED}' if column.is_dropped else ''}")
    lines += [*(f"-- {note}".rstrip() for note in region.rest), "-- daybreak: end"]
    return region.head + newline.join(region.indent + line for line in lines) + region.tail


def write_marker(table: str) -> str:
    """Return the line that a region begins with. The table's name is for people, and cut where the line would be too long."""
    named = table if len(table) <= LONG_NAME else f"{table[:LONG_NAME]}…"
    return f"-- daybreak: columns of {named}, written by daybreak generate"


def is_bare(name: str, keywords: frozenset[str]) -> bool:
    """Whether SQL takes a column's name without quotes."""
    return bool(_BARE.fullmatch(name)) and name not in keywords


def _write(column: Selected, keywords: frozenset[str]) -> str:
    raw = write_raw(column.raw, keywords)
    alias = column.alias if is_bare(column.alias, keywords) else quote_name(column.alias)
    if raw != alias and raw.lower() == alias:
        raw = quote_name(raw.upper())  # sqlfluff finds `Name as name` ambiguous
    return raw if raw == alias and not raw.startswith('"') else f"{raw} as {alias}"


def write_raw(name: str, keywords: frozenset[str]) -> str:
    """Return a raw column's name so that every warehouse finds it.

    Snowflake keeps a name that needs no quotes in capitals, DuckDB as it was written and finds it in any. So one that SQL takes
    has no quotes, and a word of SQL's own is in capitals inside of them.
    """
    if _PLAIN.fullmatch(name) and name.lower() not in keywords:
        return name
    return quote_name(name.upper() if _FOLDED.fullmatch(name) else name)


def respell(region: Region, names: Sequence[str]) -> Region:
    """Return the region with raw columns as their source spells them, see ``write_raw``; the last of ``names`` wins."""
    spelled = {name.lower(): name for name in names}
    columns = (
        column if column.raw in names else replace(column, raw=spelled.get(column.raw.lower(), column.raw)) for column in region.columns
    )
    return replace(region, columns=tuple(columns))


def quote_name(name: str) -> str:
    """Return a name in quotes, as SQL in a model."""
    return plain_jinja('"' + name.replace('"', '""') + '"')


def read_name(text: str) -> str:
    """Return the name that SQL in a model means, in quotes or not."""
    shown = re.sub(r"\{\{ '(\{[{%#])' \}\}", r"\1", text)
    return shown[1:-1].replace('""', '"') if shown.startswith('"') else shown


def plain_jinja(text: str) -> str:
    """Return ``text`` so that Jinja, which dbt sends everything through, gives it back as it is."""
    return re.sub(r"\{[{%#]", lambda found: f"{{{{ '{found.group()}' }}}}", text)


def order_columns(kept: Sequence[Selected], new: Sequence[Selected], last: Sequence[str]) -> tuple[Selected, ...]:
    """Return the columns of a region: those it had, then the new ones, and those that tell of the load at the end."""
    told = [column for column in kept if column.raw in last]
    missing = [Selected(name, name) for name in last if name not in {column.raw for column in told}]
    return (*(column for column in kept if column.raw not in last), *new, *told, *missing)
