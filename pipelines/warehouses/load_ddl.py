"""The DDL of raw tables: what a schema's moves do to them. Pure text; nothing is ever dropped by a change of the source."""

from collections.abc import Collection, Sequence

from pipelines.names import OLDER, first_name
from pipelines.sync.shape import Column, SchemaChange
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import Dialect


def create_table(to: Dialect, spec: TableSpec, columns: tuple[Column, ...]) -> str:
    """Return the DDL of a raw table; no primary key, which would make every load dearer (measured)."""
    defined = [f"{to.quote(column.name)} {to.type_of(column.arrow_type)}" for column in columns]
    return f"{to.create} if not exists {to.raw_table(spec)} ({', '.join([*defined, *to.engine_columns(spec)])})"


def apply_changes(to: Dialect, spec: TableSpec, changes: Sequence[SchemaChange], version: int, standing: Collection[str]) -> list[str]:
    """Return the DDL of a schema's moves to its next ``version``; ``standing`` are the raw table's columns, dropped ones too.

    Nothing is dropped: what cannot stay under its name is kept under another one. Where a new name is an old one of another
    column, renames go through a name that nobody has, so that two columns can swap.
    """
    table = to.raw_table(spec)
    statements = [rename_column(to, table, name, kept) for name, kept in make_room(changes, version, standing)]
    renames = [(change.before.name, change.after.name) for change in changes if change.kind == "rename" and change.before and change.after]
    old_names = {old.casefold() for old, _ in renames}
    moving = [(old, f"_moving_{old}" if new.casefold() in old_names else new, new) for old, new in renames]
    statements += [rename_column(to, table, old, first) for old, first, _ in moving]
    statements += [rename_column(to, table, first, new) for _, first, new in moving if first != new]
    for change in changes:
        if change.after and change.kind in ("add", "retype"):
            statements.append(add_column(to, table, change.after.name, to.type_of(change.after.arrow_type)))
        elif change.after and change.kind == "widen":
            statements += to.widen(table, change.before or change.after, change.after)
    return statements


def make_room(changes: Sequence[SchemaChange], version: int, standing: Collection[str]) -> list[tuple[str, str]]:
    """Return the columns whose name belongs to another one now, and what they become: they were dropped, or got another type."""
    taken = {name.casefold() for name in standing} | {change.after.name.casefold() for change in changes if change.after}
    leaving = {change.before.name.casefold() for change in changes if change.before and change.kind == "rename"}
    rooms: list[tuple[str, str]] = []
    for change in changes:
        name = change.after.name if change.after and change.kind in ("add", "rename", "retype") else None
        if name and name.casefold() in {one.casefold() for one in standing} - leaving:
            kept = kept_name(name, version, taken)
            taken.add(kept.casefold())
            rooms.append((name, kept))
    return rooms


def add_column(to: Dialect, table: str, name: str, type_: str) -> str:
    """Return the DDL that adds a column; ``table`` is quoted."""
    return f"alter table {table} add column if not exists {to.quote(name)} {type_}"


def drop_column(to: Dialect, table: str, name: str) -> str:
    """Return the DDL that drops a column; ``table`` is quoted."""
    return f"alter table {table} drop column {to.quote(name)}"


def rename_column(to: Dialect, table: str, old: str, new: str) -> str:
    """Return the DDL that renames one column; ``table`` is quoted."""
    return f"alter table {table} rename column {to.quote(old)} to {to.quote(new)}"


def keep_table(to: Dialect, spec: TableSpec, version: int, tables: Collection[str]) -> str:
    """Return the DDL that keeps the raw table under a name that none of ``tables`` has, so that it can be loaded anew."""
    return f"alter table {to.raw_table(spec)} rename to {to.quote(kept_name(spec.name, version, {name.casefold() for name in tables}))}"


def is_older(name: str) -> bool:
    """Whether a column is kept from an older version."""
    return first_name(name) != name


def kept_name(name: str, version: int, taken: Collection[str]) -> str:
    """Return the name under which a column or a table is kept from a schema version on; ``taken`` are folded names it must not have."""
    while f"{name}{OLDER}{version}".casefold() in taken:
        version += 1
    return f"{name}{OLDER}{version}"
