"""Mode, key, cursor and partition of a table, each with its reason. Pure.

A guess may cost time, never rows: where nothing proves that a cheaper mode sees every change, the table is a snapshot, and
the comment says what would make it cheaper.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.discovery.moments import PartitionGuess, Reasoned, guess_cursor, guess_partition
from pipelines.discovery.personal import suggest_mask
from pipelines.discovery.survey import Survey, SurveyedTable
from pipelines.names import make_asset_name
from pipelines.sync.schema import RESERVED
from pipelines.sync.spec import Mask, Mode

BIG_ROWS = 1_000_000  # above it, reading everything each morning deserves a word


@dataclass(frozen=True)
class MaskGuess:
    """A mask for a column and why; ``is_on`` False for a suggestion that only stands in a comment."""

    column: str
    mask: Mask | None  # None: it looks personal, and cannot be masked
    reason: str
    is_on: bool


@dataclass(frozen=True)
class TableGuess:
    """An entry of the catalog before it is text. ``notes`` are sentences that stand above it."""

    name: str
    mode: Mode
    mode_reason: str
    key: tuple[str, ...]
    key_reason: str
    cursor: Reasoned | None = None
    partition: PartitionGuess | None = None
    masks: tuple[MaskGuess, ...] = ()
    is_filled: bool = False  # it has rows now and is read whole, so an empty read is a fault of the source
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class CatalogGuess:
    """What a schema's catalog file says: entries by name, and what is left out with why."""

    entries: tuple[TableGuess, ...]
    left_out: tuple[tuple[str, str], ...]


def guess_catalog(survey: Survey, *, masks_personal: bool = False) -> CatalogGuess:
    """Return an entry for each table that can be synced, and why each other relation is left out."""
    entries: list[TableGuess] = []
    taken: dict[str, str] = {}
    left_out = []
    for table in survey.tables:
        identities = {table.name.casefold(), make_asset_name(table.name).casefold()}
        other = next((taken[identity] for identity in identities if identity in taken), None)
        if table.refusal:
            left_out.append((table.name, table.refusal))
        elif other:
            where = "the warehouse" if other.casefold() == table.name.casefold() else "the lineage"
            left_out.append((table.name, f"{where} cannot tell it from `{other}`; sync a view of it that has another name"))
        elif _keepable(table):
            entries.append(guess_table(table, masks_personal=masks_personal))
            taken |= dict.fromkeys(identities, table.name)
        else:
            left_out.append((table.name, "every column has a name that Daybreak uses itself, or may not be read"))
    return CatalogGuess(tuple(entries), tuple(left_out))


def guess_table(table: SurveyedTable, *, masks_personal: bool = False) -> TableGuess:
    """Return the entry of one table that can be synced.

    `incremental` needs a key and a cursor that is safe (see ``moments``); `partitioned` is for big tables that are cut by
    time; everything else is a `snapshot`. A cursor is preferred: it also sees old rows that change.
    """
    usable = replace(table, columns=tuple(c for c in table.columns if c.is_readable and c.name.casefold() not in RESERVED))
    key, key_reason = _guess_key(usable)
    cursor = guess_cursor(usable, bool(key))
    partition = guess_partition(usable)
    mode, mode_reason = _choose_mode(usable, cursor, partition)
    chosen = TableGuess(
        name=table.name,
        mode=mode,
        mode_reason=mode_reason,
        key=key,
        key_reason=key_reason,
        cursor=cursor if mode == "incremental" else None,
        partition=partition if mode == "partitioned" and isinstance(partition, PartitionGuess) else None,
        is_filled=mode == "snapshot" and table.activity.is_surely_filled,
        notes=_notes(table, mode),
    )
    return replace(chosen, masks=_guess_masks(table, chosen, masks_personal=masks_personal))


def _keepable(table: SurveyedTable) -> bool:
    return any(column.is_readable and column.name.casefold() not in RESERVED for column in table.columns)


def _guess_key(table: SurveyedTable) -> tuple[tuple[str, ...], str]:
    """Return the primary key, else the unique index of fewest columns that can have no NULL; else nothing, and why."""
    if table.children:
        return (), "no key: the rows of the tables that inherit from it are read with its own, and no index covers them all"
    nullable = {column.name: column.is_nullable for column in table.columns}
    reasons = []
    for index in sorted(table.unique, key=lambda index: (not index.is_primary, len(index.columns), index.name)):
        what = "primary key" if index.is_primary else f"unique index `{index.name}`"
        if any(name not in nullable for name in index.columns):
            reasons.append(f"{what} has a column that cannot be used")
        elif any(nullable[name] for name in index.columns):
            reasons.append(f"{what} has a column that may be NULL")
        elif len({name.casefold() for name in index.columns}) < len(index.columns):
            reasons.append(f"{what} has two columns that are one name to the warehouse")
        else:
            return index.columns, what if index.is_primary else f"{what}, none of it NULL"
    return (), f"no key: {'; '.join(reasons) or 'no unique index'}; it is read in one transaction, and not resumed"


def _choose_mode(table: SurveyedTable, cursor: Reasoned, partition: "PartitionGuess | Reasoned") -> tuple[Mode, str]:
    if cursor.column:
        return "incremental", "rows that changed since the last load; rows that are deleted in the source stay (`snapshot` sees deletes)"
    if isinstance(partition, PartitionGuess):
        return "partitioned", partition.reason
    reasons = [cursor.reason]
    if partition.reason and (table.activity.rows or 0) > BIG_ROWS:
        reasons.append(partition.reason)
    return "snapshot", "; ".join(reason for reason in reasons if reason)


def _notes(table: SurveyedTable, mode: Mode) -> tuple[str, ...]:
    rows = table.activity.rows
    parts = [f"about {_count(rows, 'row')}" if rows else "no rows, or none that the statistics know of"]
    if table.partitioning:
        parts.append(f"in {_count(table.partitioning.leaves, 'partition')}, read through it")
    if table.children:
        parts.append(f"with those of {_count(table.children, 'table')} below it (INHERITS)")
    notes = [", ".join(parts)]
    if mode == "snapshot" and (rows or 0) > BIG_ROWS:
        notes.append(
            "Big for a snapshot: everything is read each morning. A key, and an indexed NOT NULL `updated_at` that every write "
            "moves, would make it incremental."
        )
    return tuple(notes)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _guess_masks(table: SurveyedTable, guess: TableGuess, *, masks_personal: bool) -> tuple[MaskGuess, ...]:
    used = {*guess.key, *([guess.cursor.column] if guess.cursor else []), *([guess.partition.column] if guess.partition else [])}
    kept: dict[str, str] = {name.casefold(): name for name in used if name}
    masks = []
    for column in table.columns:
        why_out = _why_out(column.name, kept, is_readable=column.is_readable)
        if why_out:
            masks.append(MaskGuess(column.name, "drop", why_out, is_on=True))
            continue
        kept.setdefault(column.name.casefold(), column.name)
        suggestion = suggest_mask(table.name, column)
        if suggestion and column.name in used:
            masks.append(MaskGuess(column.name, None, f"{suggestion.what}, in a column that the load goes by", is_on=False))
        elif suggestion:
            masks.append(MaskGuess(column.name, suggestion.mask, suggestion.what, is_on=masks_personal))
    return tuple(masks)


def _why_out(name: str, kept: Mapping[str, str], *, is_readable: bool) -> str | None:
    """Return why a column cannot land; ``kept`` are those that do, by their folded name."""
    folded = name.casefold()
    if not is_readable:
        return "this user may not read it; GRANT SELECT"
    if folded in RESERVED:
        return "a name that Daybreak uses itself; sync a view that gives it another one"
    if kept.get(folded, name) != name:
        return f"the warehouse cannot tell it from `{kept[folded]}`; sync a view that gives it another name"
    return None
