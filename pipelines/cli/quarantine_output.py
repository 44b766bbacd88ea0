"""How the quarantine looks on a terminal. Nothing is decided here."""

import json
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime

from rich.text import Text

from pipelines.cli.output import make_console, make_table, one_line
from pipelines.landing.held import HeldLoad
from pipelines.quarantine import HeldRow, Replayed
from pipelines.sync.quarantined import QuarantineCount, QuarantineEntry
from pipelines.sync.release import Release

VALUE_LENGTH = 60  # longer values are cut; --json has all of them


def show_list(counts: Sequence[QuarantineCount], held: Sequence[HeldRow]) -> None:
    """Print what stands in quarantine, the held loads, and the commands that lead on."""
    console = make_console()
    if counts:
        table = make_table("table", "column", "reason", "since", "open", "stale", "replayed", "fixed", right=4)
        for count in counts:
            numbers = (f"{number:,}" for number in (count.open, count.stale, count.replayed, count.fixed))
            since = _instant(count.oldest_open_at) if count.oldest_open_at else ""
            style = "" if count.open else "dim"
            table.add_row(*(Text(one_line(text), style=style) for text in (count.table, count.column, count.reason, since)), *numbers)
        console.print(table)
    else:
        console.print("No row was ever put into quarantine.")
    if held:
        console.print(Text("\nHeld loads", style="bold"))
        table = make_table("load", "table", "state", "held at", "rows", "mornings", right=2)
        for load in held:
            style = "bold red" if load.state == "waiting" else "dim"
            texts = (Text(load.load_id), Text(one_line(load.table)), Text(load.state, style=style), Text(_instant(load.held_at)))
            table.add_row(*texts, f"{load.rows:,}", str(load.mornings) if load.state == "waiting" else "")
        console.print(table)
        for load in held:
            told = load.reason if load.state == "waiting" else f"{load.told}; it was: {load.reason}"
            console.print(Text(f"{load.load_id}: {told}", style="red" if load.state == "waiting" else "dim"), soft_wrap=True)
    for line in _next_steps(counts, held):
        console.print(Text(line), soft_wrap=True)


def _next_steps(counts: Sequence[QuarantineCount], held: Sequence[HeldRow]) -> list[str]:
    names = list(dict.fromkeys(count.table for count in counts if count.open))
    lines = ["", *(f"Look:    daybreak quarantine show {_name(name)}" for name in names)]
    lines += [f"Mended:  daybreak quarantine replay {_name(name)}" for name in names]
    waiting = [load for load in held if load.state == "waiting"]
    lines += [f"Mended:  daybreak sync {_name(name)}" for name in dict.fromkeys(load.table for load in waiting)]
    lines += [f"Let in:  daybreak release {load.load_id}" for load in waiting]
    if len({load.table for load in waiting}) < len(waiting):
        lines.append(
            "Several loads of a table wait: days are let in from the oldest load on; of other loads, one makes the rest superseded."
        )
    return lines if len(lines) > 1 else []


def _name(table_id: str) -> str:
    source, _, table = table_id.partition(".")
    return f"{source} {shlex.quote(table)}"


def show_rows(entries: Sequence[QuarantineEntry], table: str, state: str, *, is_cut: bool) -> None:
    """Print entries one below the other: why, since when, and the row with its bad column first."""
    console = make_console()
    if not entries:
        console.print(
            Text(f"{table} has no row in quarantine that is {state}." if state != "all" else f"{table} has no row in quarantine.")
        )
        return
    for entry in entries:
        key = ", ".join(_value(part) for part in json.loads(entry.key)) if entry.key else "(no key)"
        closed = f", {entry.state} {_instant(entry.closed_at)}" if entry.closed_at else ""
        console.print(Text.assemble((f"{key}", "bold"), f"  {entry.reason}", (f"  in {one_line(entry.column)}", "red")), soft_wrap=True)
        console.print(Text(f"  since {_instant(entry.quarantined_at)}, load {entry.load_id}{closed}", style="dim"), soft_wrap=True)
        if entry.stale_load_id:
            console.print(Text(f"  stale: the table has an older version, of load {entry.stale_load_id}", style="yellow"), soft_wrap=True)
        for name, value in _bad_first(entry).items():
            is_bad = name in _bad_columns(entry)
            console.print(Text(f"    {one_line(name)} = {_value(value)}", style="red" if is_bad else ""), soft_wrap=True)
    if is_cut:
        console.print(f"There are more; --limit shows more than {len(entries)}.", style="dim")


def _bad_columns(entry: QuarantineEntry) -> list[str]:
    names = list(json.loads(entry.original))
    # Several values may not fit; their columns are told with commas between them, which a name may have too.
    return [entry.column] if entry.column in names else [name for name in names if name in entry.column.split(", ")]


def _bad_first(entry: QuarantineEntry) -> Mapping[str, str | None]:
    original = json.loads(entry.original)
    return {**{name: original[name] for name in _bad_columns(entry)}, **original}


def show_replayed(results: Sequence[Replayed]) -> None:
    """Print what became of the rows, and what was not read again and why."""
    console = make_console()
    table = make_table("table", "good now", "still bad", "gone from the source", right=3)
    for result in results:
        table.add_row(Text(one_line(result.table)), f"{result.good:,}", f"{result.still_bad:,}", f"{result.gone:,}")
    console.print(table)
    for result in results:
        if result.unnamed_closed:
            told = f"{result.table}: {result.unnamed_closed:,} rows without a key are mended or gone; the table was synced to see that."
            console.print(Text(told), soft_wrap=True)
        if result.problem:
            console.print(Text(f"{result.table}: {result.problem}", style="red"), soft_wrap=True)
    if any(result.good or result.gone or result.unnamed_closed for result in results):
        console.print("Next: daybreak run   (builds what stands on them)")


def show_release(held: HeldLoad, outcome: Release, who: str) -> None:
    """Print what became of a held load, and what to do if it did not get in."""
    console, load_id, table = make_console(), held.plan.load_id, held.plan.table
    if outcome.entry:
        counts = outcome.entry.counts
        told = f"{table}: load {load_id} is in, released by {who}: {counts.loaded:,} rows loaded, {counts.quarantined:,} in quarantine."
        console.print(Text(f"{told}\n{outcome.told}\nNext: daybreak run   (builds what stands on it)"), soft_wrap=True)
        return
    why = f"{table}: load {load_id} is {outcome.state}: {outcome.told}. Nothing was changed."
    remedy = "Mend the source, then" if outcome.state == "refused" else "The next sync reads anew what it had:"
    console.print(Text(f"{why}\n{remedy} daybreak sync {_name(table)}", style="red"), soft_wrap=True)


def _instant(instant: datetime | None) -> str:
    return f"{instant:%Y-%m-%d %H:%M:%S}" if instant else ""


def _value(value: str | None) -> str:
    if value is None:
        return "NULL"
    shown = "".join(char if char.isprintable() else "·" for char in value)
    return shown if len(shown) <= VALUE_LENGTH else f"{shown[:VALUE_LENGTH]}… ({len(value):,} characters)"
