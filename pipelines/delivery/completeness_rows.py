"""The page of proof in words: the answer on top, and a row for each table and back-fill, those in trouble first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pipelines.delivery.health import describe_restated
from pipelines.delivery.proof import BackfillState, Comparison, CompletenessPage, TableProof
from pipelines.delivery.wording import (
    NOTHING,
    localize,
    write_clock,
    write_count,
    write_duration,
    write_percent,
    write_quantity,
    write_short_instant,
    write_span,
)

__all__ = ["COLUMNS", "answer", "compared_at", "describe_backfills", "describe_restated", "describe_tables", "tell_left_out"]

# Title and columns of each group, in the order of `ProofRow.cells`: what was compared, what is wrong, what was done, what was left out.
COLUMNS = (
    ("Rows", ("source", "warehouse")),
    ("Compared", ("as of", "oldest range")),
    ("Content differs", ("missing", "extra", "different")),
    ("Healed", ("reread", "deleted")),
    ("Not compared", ("newer", "late", "quarantine", "kept")),
)
_BACKFILL_STATES = {"running": "good", "done": "good", "paused": "warn", "failed": "bad", "died": "bad"}


@dataclass(frozen=True)
class Answer:
    """The one line, and what it must not hide. `state`: good | warn | bad."""

    state: str
    text: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProofRow:
    """A table in the list; without `cells` it was not compared. `zeros`: the positions of cells that have nothing to say."""

    name: str
    state: str
    word: str
    sign: str  # between the counts of both sides
    cells: tuple[str, ...]
    zeros: frozenset[int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class BackfillRow:
    """A back-fill in the list. `percent` is how long its bar is."""

    table: str
    days: str
    state: str
    word: str
    done: str
    percent: int
    cells: tuple[str, ...]  # rows, time left, share, heard of
    notes: tuple[str, ...]


def answer(page: CompletenessPage) -> Answer:
    """Say whether all tables equal their sources, and as of when: no better than the oldest of the comparisons."""
    total, judged = len(page.tables), [_judge(page, proof) for proof in page.tables]
    if not total:
        return Answer("warn", "The catalog names no table")
    differ = [proof for proof in page.tables if proof.compared and proof.compared.source_as_of and proof.compared.outcome != "equal"]
    never = sum(word == "not compared" for _, word in judged)
    if never == total:
        return Answer("warn", "No table was compared with its source yet", ("Compare them now: daybreak reconcile",))
    state = "bad" if any(state == "bad" for state, _ in judged) else "good" if all(state == "good" for state, _ in judged) else "warn"
    text = _write_verdict(total, len(differ), never)
    return Answer(state, f"{text}, as of {_write_as_of(page)}", _list_notes(page, differ, never))


def _write_verdict(total: int, differ: int, never: int) -> str:
    if differ:
        return f"{differ} of {write_quantity(total, 'table')} {'differs from its source' if differ == 1 else 'differ from their sources'}"
    if never:
        equal = total - never
        return f"{equal} of {write_quantity(total, 'table')} {'equals its source' if equal == 1 else 'equal their sources'}"
    return f"All {total} tables equal their sources" if total > 1 else "The one table equals its source"


def _list_notes(page: CompletenessPage, differ: list[TableProof], never: int) -> tuple[str, ...]:
    stale = [proof.table for proof in page.tables if _is_stale(page, proof)]
    held = [proof.table for proof in page.tables if proof.held_reason]
    notes = [
        f"Not equal: {', '.join(proof.table for proof in differ)}" if differ else "",
        f"{write_quantity(never, 'table')} {'was' if never == 1 else 'were'} never compared" if never else "",
        f"Compared more than {page.stale_hours} hours ago: {', '.join(stale)}" if stale else "",
        f"Held, so its rows are older ones: {', '.join(held)}" if held else "",
        f"{write_quantity(len(page.missing), 'piece')} of work left, see below" if page.missing else "",
    ]
    return tuple(note for note in notes if note)


def compared_at(page: CompletenessPage) -> datetime | None:
    """Return when the comparison that is oldest was made; None if there was none."""
    return min((proof.compared.source_as_of for proof in page.tables if proof.compared and proof.compared.source_as_of), default=None)


def _write_as_of(page: CompletenessPage) -> str:
    oldest = compared_at(page)
    is_today = oldest and localize(oldest, page.time_zone).date() == localize(page.published_at, page.time_zone).date()
    return write_clock(oldest, page.time_zone, with_day=not is_today)


def tell_left_out(page: CompletenessPage) -> str:
    """Return one sentence with the rows of all tables that were not compared; empty if there are none."""
    found = [proof.compared for proof in page.tables if proof.compared]
    counts = (
        (sum(one.in_flight for one in found), "newer than the last load"),
        (sum(one.late for one in found), "late"),
        (sum(one.quarantined for one in found), "in quarantine"),
        (sum(one.kept for one in found), "gone from the source and kept"),
        (sum(one.marked for one in found), "gone from the source and kept with a mark"),
    )
    told = [f"{write_count(count)} {word}" for count, word in counts if count]
    columns = sum(len(one.left_out) for one in found)
    told += [write_quantity(columns, "column")] if columns else []
    return ", ".join(told)


def describe_tables(page: CompletenessPage) -> list[ProofRow]:
    """Cells: see `COLUMNS`. Those that differ come first, then those that were not compared or not lately."""
    ranks = {"bad": 0, "warn": 1, "good": 2}
    rows = [_describe_table(page, proof) for proof in page.tables]
    return sorted(rows, key=lambda row: ranks[row.state])


def _judge(page: CompletenessPage, proof: TableProof) -> tuple[str, str]:
    """Return the state of a table and the word for it. Rows that may have changed since the last load prove nothing bad."""
    found = proof.compared
    if found is None or found.source_as_of is None:
        return "warn", "not compared"
    if found.outcome == "held":
        return "bad", "differs"
    if found.outcome != "equal":
        return ("bad" if found.differing > found.unsettled else "warn"), "differs"
    return ("warn", "equal then") if _is_stale(page, proof) else ("good", "equal")


def _is_stale(page: CompletenessPage, proof: TableProof) -> bool:
    as_of = proof.compared.source_as_of if proof.compared else None
    return as_of is not None and localize(page.published_at, "UTC") - localize(as_of, "UTC") > timedelta(hours=page.stale_hours)


def _describe_table(page: CompletenessPage, proof: TableProof) -> ProofRow:
    state, word = _judge(page, proof)
    found = proof.compared
    notes = [f"its last load is held: {proof.held_reason}"] if proof.held_reason else []
    if found is None or found.source_as_of is None:
        why = found.reason if found else None
        notes.insert(0, f"not compared: {why}" if why else f"never compared; compare it with: {proof.command}")
        return ProofRow(proof.table, state, word, "", (), frozenset(), tuple(notes))
    differing, healed = (found.missing, found.extra, found.different), (found.reread, found.deleted)
    counts = (*differing, *healed, found.in_flight, found.late, found.quarantined, found.kept)
    instants = (_write_at(page, found.source_as_of), _write_at(page, found.oldest_at))
    return ProofRow(
        name=proof.table,
        state=state,
        word=word,
        sign="=" if found.source_rows == found.warehouse_rows else "≠",
        cells=(write_count(found.source_rows), write_count(found.warehouse_rows), *instants, *map(write_count, counts)),
        zeros=frozenset(at for at, count in enumerate(counts, 4) if not count),
        notes=(*_note(page, proof, found), *notes),
    )


def _write_at(page: CompletenessPage, instant: datetime | None) -> str:
    """'04:02:11' of the page's own day, '30 Oct 04:02' of others: the list is wide enough."""
    if instant is None or localize(instant, page.time_zone).date() != localize(page.published_at, page.time_zone).date():
        return write_short_instant(instant, page.time_zone)
    return f"{localize(instant, page.time_zone):%H:%M:%S}"


def _note(page: CompletenessPage, proof: TableProof, found: Comparison) -> list[str]:
    told = []
    if found.reason:
        told.append(f"held: {found.reason}" if found.outcome == "held" else found.reason)
    if found.unsettled:
        since = write_short_instant(found.warehouse_as_of, page.time_zone)
        told.append(f"{write_count(found.unsettled)} may have changed since the last load, as of {since}")
    if found.differing:
        told.append(f"read them again with: {proof.command} --heal")
    if found.overruled_by:
        told.append(f"the deletes were allowed by {found.overruled_by}")
    if found.marked:
        told.append(f"{write_count(found.marked)} gone from the source and kept with a mark")
    if found.left_out:
        told.append(f"without {', '.join(found.left_out)}")
    if found.hashed_buckets < found.buckets:
        told.append(f"{write_count(found.hashed_buckets)} of {write_quantity(found.buckets, 'range')} read, the others stand unchanged")
    if _is_stale(page, proof):
        told.append(f"compared more than {page.stale_hours} hours ago; compare it again with: {proof.command}")
    return told


def describe_backfills(page: CompletenessPage) -> list[BackfillRow]:
    """Cells: rows, time left, share of the time that the source is read, when it was heard of last."""
    return [_describe_backfill(one, page.time_zone) for one in page.backfills]


def _describe_backfill(one: BackfillState, time_zone: str) -> BackfillRow:
    left = NOTHING if one.seconds_left is None else write_duration(timedelta(seconds=one.seconds_left))
    share = None if one.share is None else Decimal(str(one.share))
    return BackfillRow(
        table=one.table,
        days=write_span(one.first, one.last),
        state=_BACKFILL_STATES.get(one.state, "warn"),
        word=one.state,
        done=f"{write_count(one.done_days)} of {write_quantity(one.all_days, 'day')}",
        percent=100 * one.done_days // one.all_days if one.all_days else 100,
        cells=(write_count(one.rows), left, write_percent(share, decimals=0), write_short_instant(one.at, time_zone)),
        notes=tuple(note for note in (one.reason, one.note) if note),
    )
