"""Mutations of what lands: the mask step, the files, their manifest, and the rows that step aside."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.landing import scan, store
from pipelines.landing.store import LoadFolder
from pipelines.sync import engine, gating, load, read
from pipelines.warehouses import load_commit
from tests.sabotage.mutation import Mutation, after, instead


def _without_a_file(staged: Any) -> Any:
    return replace(staged, files=staged.files[1:])


def _with_a_file_twice(staged: Any) -> Any:
    return replace(staged, files=(*staged.files, staged.files[0]))


def _short_file(original: Any) -> Any:
    return lambda rows, *given, **named: original(rows.slice(1), *given, **named)


def _torn(original: Any) -> Any:
    def add_chunk(folder: LoadFolder, *given: Any) -> Any:
        chunk = original(folder, *given)
        file: Path = folder.path / chunk.file_name
        file.write_bytes(file.read_bytes()[:-9])
        return chunk

    return add_chunk


def _stale_buffer(original: Any) -> Any:
    """Every second chunk is written with the rows of the one before, if it has as many."""
    kept: list[Any] = []

    def add_chunk(folder: LoadFolder, rows: Any, *given: Any) -> Any:
        is_second = len(folder.chunks) % 2 == 1 and kept[-1].num_rows == rows.num_rows
        kept.append(rows)
        return original(folder, kept[-2] if is_second else rows, *given)

    return add_chunk


def _forgotten_record(original: Any) -> Any:
    """The second chunk's record is lost, so that the third one takes its place."""
    forgotten: list[Any] = []

    def add_chunk(folder: LoadFolder, *given: Any) -> Any:
        chunk = original(folder, *given)
        if len(folder.chunks) == 2 and not forgotten:
            forgotten.append(folder.chunks.pop())
        return chunk

    return add_chunk


def _without_unfit(rows: Any) -> Any:
    return rows.filter(gating.pc.is_null(rows.column(gating.UNFIT_COLUMN)))


def _all_same(found: Any) -> Any:
    changed, same = found
    return (), (*same, *changed)


def _oldest_same(found: Any) -> Any:
    changed, same = found
    return changed[2:], (*same, *changed[:2])


LANDING = (
    Mutation("a staged file is skipped", "orders", load, "_stage", after(_without_a_file)),
    Mutation("a chunk has the rows of the one before", "orders", LoadFolder, "add_chunk", _stale_buffer),
    Mutation(
        "rows that step aside are not written down",
        "orders",
        LoadFolder,
        "write_aside",
        lambda original: lambda folder, chunk, slices: original(folder, chunk, [[] for _ in slices]),
    ),
    Mutation("the quarantine is not kept", "orders", load_commit, "replace_quarantine", instead(None)),
    Mutation("a changed day is taken for unchanged", "events", engine, "changed_days", after(_oldest_same)),
)
MORE_LANDING = (
    Mutation("the mask step loses a row", "orders", read, "mask", after(lambda rows: rows.slice(1))),
    Mutation("a staged file is loaded twice", "stock", load, "_stage", after(_with_a_file_twice)),
    Mutation("a file has a row less than its record", "events", store.pq, "write_table", _short_file),
    Mutation("a file is torn after its record", "stock", LoadFolder, "add_chunk", _torn),
    Mutation("the record of a chunk is lost", "stock", LoadFolder, "add_chunk", _forgotten_record),
    Mutation(
        "rows that fit no type are left out",
        "orders",
        read,
        "mask",
        after(lambda rows: rows.filter(rows.column("_daybreak_unfit").is_null())),
    ),
    Mutation("a digest counts rows and not their content", "prices", scan, "_digest", instead("0")),
    Mutation("every row is taken for bad", "stock", gating, "unfit_positions", lambda _: lambda rows: list(range(rows.num_rows))),
    Mutation(
        "a changed load is taken for unchanged",
        "accounts",
        engine,
        "changed_days",
        after(_all_same),
        "the watermark stays behind as well, so that the rows are newer than the last load: told as in flight, and late",
    ),
)
