"""Which raw columns a migration moves, those too whose move would lose values. Pure.

The engine says what a change is and whether it may happen (``sync.schema``); this is what models see of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.sync.schema import judge_changes, raw_columns
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec


@dataclass(frozen=True)
class Move:
    """A raw column that models know as ``was``, and what it becomes; None for one that is dropped.

    ``is_reused``: another column is called so now, so that models read on, and read something else.
    """

    kind: Literal["drop", "rename", "widen", "retype"]
    was: str
    after: Column | None
    is_reused: bool = False


def list_moves(spec: TableSpec, before: TableSchema, after: TableSchema) -> Sequence[Move]:
    """Return the moves of columns that are there before; an added column moves nothing."""
    new = {column.name for column in raw_columns(spec, after)}
    moves = []
    for change in (judged.change for judged in judge_changes(spec, before, after)):
        if change and change.before and change.kind != "add" and change.kind != "swap":  # noqa: PLR1714 - for mypy
            is_reused = change.kind in ("drop", "rename") and change.before.name in new
            moves.append(Move(change.kind, change.before.name, change.after, is_reused))
    return moves
