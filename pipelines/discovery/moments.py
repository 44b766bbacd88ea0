"""Which column says when a row changed, or when it happened, and whether that can be relied on. Pure.

*A cursor* must move with every write, or updates are missed in silence. No database promises that; a NOT NULL timestamp
that is named like the time of the row's last change is the strongest sign there is, and the entry's comment says what is
trusted. `status_changed_at` is named for a part of the row and `created_at` for its birth, so neither will do; an id that
grows says nothing of updates.

*Days* are only read again for a while, so `partitioned` is chosen where rows do not change later: PostgreSQL itself cuts
the table by time or the column is named like an event's, and the statistics know of no update or delete.
"""

from dataclasses import dataclass
from datetime import date

from pipelines.discovery.survey import SurveyedColumn, SurveyedTable
from pipelines.names import list_words, make_singular, split_words

SMALL_ROWS = 100_000  # a whole scan of it is cheaper than a person's thought about an index
PARTITIONED_ROWS = 1_000_000
_TIMESTAMPS = ("timestamp", "timestamptz")
_DAYS = ("date", *_TIMESTAMPS)

_CHANGE = list_words("updated update modified modification changed change mtime lastupdate lastupdated lastmodified updatedat modifiedat")
_BIRTH = list_words("created create creation inserted insert added createdat")
_EVENT = list_words("occurred happened event logged recorded received measured sampled observed emitted captured ingested timestamp ts")
# What may stand beside the word without making it about something else.
_FILLERS = list_words("at on in last date time datetime timestamp ts tz utc dt row record sys when")


@dataclass(frozen=True)
class Reasoned:
    """A column and why it was chosen; with ``column`` None, why there is none."""

    column: str | None
    reason: str


@dataclass(frozen=True)
class PartitionGuess:
    """The column that cuts a table into days, the first day, and why each."""

    column: str
    start: date
    reason: str
    start_reason: str


def guess_cursor(table: SurveyedTable, has_key: bool) -> Reasoned:
    """Return the column that says when a row last changed, if it is safe to go by, else what keeps it from that."""
    found = [column for column in table.columns if column.base_type in _TIMESTAMPS and _is_named(table, column, _CHANGE)]
    if not found:
        return Reasoned(None, _why_no_change_time(table))
    refusals = {column.name: _why_unsafe(table, column, has_key) for column in found}
    safe = [column.name for column in found if not refusals[column.name]]
    if not safe:
        return Reasoned(None, "; ".join(reason for reason in refusals.values() if reason))
    name = min(safe, key=lambda name: name not in table.indexed)
    how = "indexed" if name in table.indexed else "not indexed, which does not matter at this size"
    return Reasoned(name, f"NOT NULL, {how}, and named like the time of the last change: trusted to move with every write")


def guess_partition(table: SurveyedTable) -> PartitionGuess | Reasoned:
    """Return the day column of a big table whose rows stay as they were written, else what keeps the table from being cut."""
    if (table.activity.rows or 0) <= PARTITIONED_ROWS:
        return Reasoned(None, "")
    by_range = table.partitioning.column if table.partitioning else None
    column = next((c for c in table.columns if c.name == by_range and c.base_type in _DAYS), None) or next(
        (c for c in table.columns if c.base_type in _DAYS and c.name in table.indexed and _is_named(table, c, _EVENT)), None
    )
    if column is None:
        return Reasoned(None, "")
    is_cut = column.name == by_range
    problem = _why_uncut(table, column, is_cut=is_cut)
    if problem:
        return Reasoned(None, problem)
    start, start_reason = _first_day(table, column, is_cut=is_cut)
    if start is None:
        return Reasoned(None, f"not cut by `{column.name}`, because {start_reason}")
    how = "PostgreSQL cuts it by this column" if is_cut else "big, indexed by the time of the event"
    return PartitionGuess(
        column.name, start, f"{how}, and the statistics know of no update or delete: older days are not read again", start_reason
    )


def _is_named(table: SurveyedTable, column: SurveyedColumn, wanted: frozenset[str]) -> bool:
    """Whether the name is one of the words, with nothing beside it but fillers and the table's own name."""
    own = {form for word in split_words(table.name) for form in (word, make_singular(word))}
    words = set(split_words(column.name))
    return bool(words & wanted) and words <= wanted | _FILLERS | own


def _why_no_change_time(table: SurveyedTable) -> str:
    born = [column.name for column in table.columns if column.base_type in _DAYS and _is_named(table, column, _BIRTH)]
    if born:
        return f"`{born[0]}` says when a row came, not when it changed: as a cursor it would miss updates"
    return "no column says when a row changed"


def _why_unsafe(table: SurveyedTable, column: SurveyedColumn, has_key: bool) -> str | None:
    if column.is_nullable:
        return f"`{column.name}` may be NULL, so it cannot be relied on as a cursor"
    if not has_key:
        return f"`{column.name}` would be a cursor, but there is no key to merge by"
    if column.name not in table.indexed and (table.activity.rows or 0) > SMALL_ROWS:
        return f"`{column.name}` would be a cursor, but has no index: each chunk would scan the table; create one on it"
    return None


def _why_uncut(table: SurveyedTable, column: SurveyedColumn, *, is_cut: bool) -> str | None:
    told = table.activity
    if column.is_nullable:
        return f"not cut by `{column.name}`, which may be NULL"
    if told.updated or told.deleted:
        changes = f"{told.updated:,} updates and {told.deleted:,} deletes"
        return f"not cut by `{column.name}`: the statistics know of {changes}, which would be missed in days that are not read again"
    if not is_cut and not told.inserted:
        return f"not cut by `{column.name}`: no statistics say whether rows change later"
    return None


def _first_day(table: SurveyedTable, column: SurveyedColumn, *, is_cut: bool) -> tuple[date | None, str]:
    """Return a day that no row is before, as far as is known: an early start costs nothing, a late one leaves rows out."""
    if is_cut and table.partitioning and table.partitioning.first_day:
        return table.partitioning.first_day, "where the first partition begins"
    if column.oldest and column.oldest.year > 1:
        return date(
            column.oldest.year - 1, 1, 1
        ), f"a year before the oldest day in the statistics, {column.oldest}; rows before it are left out"
    return None, "its first day is not known: run ANALYZE, and discover again"
