"""How a preview looks on a terminal: types, as many columns of the rows as fit, and what the gates say. Nothing is decided here."""

import os
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.cli.output import PIPE_WIDTH
from pipelines.discovery.preview import Preview

VALUE_WIDTH = 36  # a longer value is cut, so that one document does not take the place of every other column; a uuid fits
GAP = 2


def show_preview(preview: Preview) -> None:
    """Print types, rows and verdicts; rows that would step aside are red and told below."""
    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console = Console(width=PIPE_WIDTH)
    console.print(_make_types(preview))
    console.print()
    names = _fitting(preview, console.width)
    console.print(_make_rows(preview, names))
    left = [name for name in preview.landed if name not in names]
    if left:
        _say(console, f"{len(left)} more columns do not fit here ({_few(left)}); --json shows all.")
    _say(console, f"{len(preview.rows)} row{'' if len(preview.rows) == 1 else 's'}, {len(preview.aside)} would step aside.")
    for position, reason in preview.aside.items():
        console.print(Text(f"  row {position + 1}: {reason}", style="red"), soft_wrap=True)
    console.print()
    if preview.gates:
        console.print(_make_gates(preview))
    else:
        _say(console, "No gate judges single rows of this table.")
    if preview.unjudged:
        _say(console, f"Not judged, because they need the whole load: {', '.join(preview.unjudged)}.")
    if preview.has_random_key:
        _say(console, "There is no mask key yet: these hashes are of a key made for this preview, and a load's will differ.")
    _say(console, "Nothing was written.")


def _say(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(_one_line(name) for name in names[:5])
    return shown if len(names) <= 5 else f"{shown}, …"


def _make_types(preview: Preview) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", title=preview.table, title_justify="left")
    for title in ("column", "in the source", "lands as", "mask"):
        table.add_column(title, overflow="fold")
    for column in preview.columns:
        style = "dim" if column.lands_as is None else ""
        table.add_row(
            *(
                Text(_one_line(text), style=style)
                for text in (column.name, column.source_type, column.lands_as or "not at all", column.mask or "")
            )
        )
    return table


def _make_gates(preview: Preview) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("gate on these rows", overflow="fold")
    for title in ("evaluated", "failed"):
        table.add_column(title, justify="right")
    table.add_column("on failure")
    for gate in preview.gates:
        style = "red" if gate.failed else "green"
        table.add_row(Text(gate.check), f"{gate.evaluated:,}", Text(f"{gate.failed:,}", style=style), gate.on_failure)
    return table


def _fitting(preview: Preview, width: int) -> list[str]:
    """Return the first columns whose widest values fit beside each other; at least one."""
    names: list[str] = []
    used = 2 + len(str(len(preview.rows)))
    for position, name in enumerate(preview.landed):
        widest = max([cell_len(_one_line(name)), *(cell_len(_one_line(row[position] or "NULL")) for row in preview.rows)])
        used += GAP + min(widest, VALUE_WIDTH)
        if names and used > width:
            break
        names.append(name)
    return names


def _make_rows(preview: Preview, names: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    table.add_column("", justify="right", no_wrap=True)
    for name in names:
        table.add_column(Text(_one_line(name)), max_width=VALUE_WIDTH, no_wrap=True, overflow="ellipsis")
    for position, row in enumerate(preview.rows):
        is_aside = position in preview.aside
        values = (Text("NULL", style="dim") if value is None else Text(_one_line(value)) for value in row[: len(names)])
        table.add_row(f"{'!' if is_aside else ' '}{position + 1}", *values, style="red" if is_aside else "")
    return table


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else "·" for char in text)
