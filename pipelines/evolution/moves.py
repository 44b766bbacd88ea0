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
    changes = [judged.change for judged in judge_changes(spec, before, after) if judged.change]
    new = {column.name: column for column in raw_columns(spec, after)}
    moves = []
    for change in changes:
        if change.before and change.kind != "add":
            is_reused = change.kind in ("drop", "rename") and change.before.name in new
            moves.append(Move(change.kind, change.before.name, change.after, is_reused))
    renamed = {change.before.name: change.after.name for change in changes if change.kind == "rename" and change.before and change.after}
    gone = {move.was for move in moves if move.kind in ("drop", "widen")}
    for column in raw_columns(spec, before):
        now = new.get(renamed.get(column.name, column.name))
        if now and column.name not in gone and now.arrow_type != column.arrow_type:
            moves.append(Move("retype", column.name, now))
    return moves
