"""What the command line prints: progress while people wait, and tables of what came of it. Nothing is decided here."""

import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipelines.runs.progress import Happening, listening
from pipelines.settings import Settings
from pipelines.sync.model import TableResult

STYLES = {"committed": "green", "unchanged": "dim", "not run": "dim", "held": "bold red"}


# Text that goes to a file or a pipe is not cut to a terminal's 80 columns.
PIPE_WIDTH = 160


def make_console() -> Console:
    """Return the console of standard output, wide where nobody looks at it."""
    console = Console()
    return console if console.is_terminal else Console(width=PIPE_WIDTH)


class _Board:
    """The lines of what is being done now, by subject; what is over drops out and is counted."""

    def __init__(self) -> None:
        self._lines: dict[str, str] = {}
        self._over = 0
        self._lock = threading.Lock()

    def note(self, happening: Happening) -> None:
        with self._lock:
            if happening.is_over:
                self._lines.pop(happening.subject, None)
                self._over += 1
            else:
                rows = f"  {happening.rows:,} rows" if happening.rows else ""
                self._lines[happening.subject] = f"{happening.subject:<24} {happening.phase}{rows}"

    def __rich__(self) -> Text:
        with self._lock:
            done = [f"{self._over} tables done"] if self._over else []
            return Text("\n".join([*self._lines.values(), *done]) or "loading the project …", style="cyan")


@contextmanager
def watching(*, is_quiet: bool) -> Iterator[None]:
    """Show what goes on during the block, if anybody looks at a terminal."""
    if is_quiet or not sys.stderr.isatty():
        yield
        return
    board = _Board()
    # A descriptor of its own: Dagster captures the process's standard ones while a step runs.
    with os.fdopen(os.dup(sys.stderr.fileno()), "w") as terminal:
        live = Live(
            board, console=Console(file=terminal), refresh_per_second=8, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        with listening(board.note), live:
            yield


@contextmanager
def spinning(what: str) -> Iterator[None]:
    """Show a spinner while something takes longer than a blink."""
    console = Console(stderr=True)
    if not console.is_terminal:
        console.print(f"{what} …")
        yield
        return
    with console.status(f"{what} …"):
        yield


def show_results(results: Sequence[TableResult]) -> None:
    """Print what a sync did to each table."""
    from pipelines.state.results import sum_counts

    _show_tables([{"table": r.table, "outcome": r.outcome, **sum_counts(r).__dict__, "note": r.held_reason or r.note} for r in results])


def _show_tables(rows: Sequence[Mapping[str, Any]]) -> None:
    table = make_table("table", "outcome", "read", "inserted", "updated", "unchanged", "deleted", "quarantined", right=6)
    for row in rows:
        numbers = (f"{row[name]:,}" for name in ("read", "inserted", "updated", "unchanged", "deleted", "quarantined"))
        table.add_row(Text(one_line(row["table"])), Text(row["outcome"], style=STYLES.get(row["outcome"], "")), *numbers)
    console = make_console()
    console.print(table)
    notes: dict[tuple[bool, str], list[str]] = {}
    for row in rows:
        if row["note"] and (row["outcome"] == "held" or row["unchanged"]):
            notes.setdefault((row["outcome"] == "held", row["note"]), []).append(row["table"])
    for (is_held, note), names in notes.items():
        console.print(Text(f"{', '.join(names)}: {note}", style="red" if is_held else "dim"), soft_wrap=True)


def show_run(settings: Settings, report: Mapping[str, Any]) -> None:
    """Print the morning report: what was read, loaded, quarantined, tested and published, and where to look."""
    from pipelines.delivery.completeness_data import completeness_file
    from pipelines.delivery.morning_data import dashboard_file
    from pipelines.delivery.read_copy import read_copy_file

    _show_tables(report["tables"])
    console = make_console()
    models = report["models"]
    started_at = report["started_at"]
    built = [model for model in models if model["status"] == "built" and (model["built_at"] or "") >= started_at]
    failed = [model for model in models if model["status"] == "failed" and model["noted_at"] >= started_at]
    standing = sum(model["status"] == "built" for model in models) - len(built)
    tests_passed, tests_failed = (sum(model[key] for model in [*built, *failed]) for key in ("tests_passed", "tests_failed"))
    told = f"{len(built)} built, {len(failed)} failed, {standing} left alone as nothing above them changed"
    warnings = [test for model in [*built, *failed] for test in model["warnings"]]
    tested = f"tests: {tests_passed} passed, {tests_failed} failed, {len(warnings)} warned"
    console.print(f"Models: {told}; {tested}.", highlight=False, soft_wrap=True)
    for test in warnings:
        console.print(Text(f"  warning: {test}", style="yellow"), soft_wrap=True)
    for item in report["deliveries"]:
        as_of = f", data as of {item['data_as_of'][:19].replace('T', ' ')} UTC" if item["data_as_of"] else ""
        console.print(f"{item['delivery']}: {item['status']}{as_of}", highlight=False)
    console.print()
    if dashboard_file(settings).exists():  # a catalog without the shop has none until somebody adds one
        console.print(f"Dashboard   {dashboard_file(settings)}", highlight=False, soft_wrap=True)
    if completeness_file(settings).exists():
        console.print(f"Proof       {completeness_file(settings)}", highlight=False, soft_wrap=True)
    if settings.read_copy:
        console.print(f"Warehouse   {read_copy_file(settings)}  (for people and BI tools)", highlight=False, soft_wrap=True)
    console.print("Lineage     make ui", highlight=False)
    for problem in report["problems"]:
        console.print(Text(f"\n{problem}", style="bold red"), soft_wrap=True)


def status_rows(settings: Settings) -> list[dict[str, Any]]:
    """Return what is known of each table of the catalog, from the mirror alone."""
    from pipelines.wiring import open_mirror

    mirror = open_mirror(settings.state_url)
    rows = []
    for table in (table for source in settings.sources() for table in source.tables):
        found = mirror.status(table.id)
        rows.append(
            {
                "table": table.id,
                "mode": table.mode,
                "load_id": found.load_id,
                "committed_at": found.committed_at and settings.in_project_time(found.committed_at),
                "data_as_of": found.data_as_of and settings.in_project_time(found.data_as_of),
                "rows": found.total_rows,
                "watermark": found.watermark.value if found.watermark else None,
                "quarantined": found.quarantined_open,
                "held": found.held_reason,
                "held_since": found.held_since and settings.in_project_time(found.held_since),
                "held_mornings": found.held_mornings,
                "held_load_id": found.held_load_id,
                "parity": mirror.parity(table.id),
            }
        )
    return rows


def show_status(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print the state of each table."""
    table = make_table("table", "last load", "data as of", "watermark", "rows", "quarantined", right=2)
    for row in rows:
        name = Text(one_line(row["table"]), style="bold red" if row["held"] else "")
        instants = (f"{row[key]:%Y-%m-%d %H:%M:%S}" if row[key] else "never" for key in ("committed_at", "data_as_of"))
        table.add_row(name, *instants, row["watermark"] or "", f"{row['rows'] or 0:,}", f"{row['quarantined']:,}")
    console = make_console()
    console.print(table)
    for row in rows:
        if row["held"]:
            mornings = "1 morning" if row["held_mornings"] == 1 else f"{row['held_mornings']} mornings"
            since = f"since {row['held_since']:%Y-%m-%d %H:%M:%S}, {mornings}"
            console.print(Text(f"{one_line(row['table'])} is held ({since}): {row['held']}", style="red"), soft_wrap=True)
        if row["parity"] and row["parity"]["outcome"] != "equal":
            from pipelines.state.parity_wording import tell_parity

            console.print(
                Text(f"{one_line(row['table'])} is not what the source has: {tell_parity(row['parity'])}", style="red"), soft_wrap=True
            )
    if any(row["quarantined"] or row["held_load_id"] for row in rows):
        console.print("What stepped aside and what was held: daybreak quarantine list")


def one_line(name: str) -> str:
    """Return a name whose line breaks and tabs do not break the table."""
    return name if name.isprintable() else ascii(name)[1:-1]


def show_shop_day(today: str, counts: Mapping[str, Mapping[str, int]]) -> None:
    """Print what changed in the shop."""
    table = make_table("table", *counts, right=len(counts))
    for name in counts["inserted"]:
        table.add_row(name, *(f"{counts[kind].get(name, 0):,}" for kind in counts))
    console = make_console()
    console.print(table)
    console.print(f"It is {today} in the shop. See what a run makes of it: daybreak run")


def make_table(*columns: str, right: int) -> Table:
    """Return an empty table, the last ``right`` columns for numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, column in enumerate(columns):
        table.add_column(column.replace("_", " "), justify="right" if position >= len(columns) - right else "left", no_wrap=position == 0)
    return table
