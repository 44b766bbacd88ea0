"""What a mutation of the pipeline is: one function of the engine that does something else while it is on. No mutations in here."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pyarrow as pa

from pipelines.sources import postgres

Wrap = Callable[[Any], Any]  # takes the function that stands there, returns what stands there instead


@dataclass(frozen=True)
class Mutation:
    """A defect: ``place.function`` becomes ``wrap`` of itself. ``scenario`` is the table that shows it.

    ``also`` are other places that the same function is used from by its name, so that they have the defect too: those of the comparison,
    which sees nothing then until it is mended. ``unseen`` says why nothing can catch it, of the few that nothing does.
    """

    name: str
    scenario: str
    place: Any
    function: str
    wrap: Wrap
    unseen: str = ""
    also: tuple[Any, ...] = ()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Have the defect while the block runs."""
        defect = self.wrap(getattr(self.place, self.function))
        with ExitStack() as places:
            for place in (self.place, *self.also):
                places.enter_context(patch.object(place, self.function, defect))
            yield


def after(change: Callable[[Any], Any]) -> Wrap:
    """Return what changes a function's result."""
    return lambda original: lambda *given, **named: change(original(*given, **named))


def instead(result: Any) -> Wrap:
    """Return what makes a function return ``result`` whatever it is asked."""
    return lambda _: lambda *_given, **_named: result


def replacing(old: str, new: str) -> Wrap:
    """Return what changes the text that a function returns, which MUST have ``old`` in it."""

    def change(text: str) -> str:
        assert old in text, f"the engine does not write {old!r} any more: {text}"
        return text.replace(old, new)

    return after(change)


def changing(name: str, scenario: str, column: str, change: Callable[[Any], Any], unseen: str = "") -> Mutation:
    """Return the mutation by which a column's values, as they come from the source, are something else."""

    def work(rows: pa.Table) -> pa.Table:
        position = rows.schema.get_field_index(column)
        assert position >= 0, f"no column {column} is read"
        changed = change(rows.column(position))
        return rows.set_column(position, rows.schema.field(position), changed.cast(rows.schema.field(position).type))

    return Mutation(name, scenario, postgres, "_as_planned", after(work), unseen)


def each(change: Callable[[Any], Any]) -> Callable[[pa.ChunkedArray], pa.ChunkedArray]:
    """Return what changes every value of a column that is not NULL."""

    def work(column: pa.ChunkedArray) -> pa.ChunkedArray:
        return pa.chunked_array([pa.array([None if value is None else change(value) for value in column.to_pylist()], column.type)])

    return work
