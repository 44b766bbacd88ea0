"""Where the simulator's tables and columns are in the database, by the migrations that were applied.

The simulator thinks in the names of `schema.sql` whatever has been migrated; this is the one place that knows others.
A column that a migration only adds is not written, and gets its default. Not here: the migrations (`migrations.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from psycopg.sql import SQL, Composable, Identifier

from pipelines.shop.model import Row


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the database, and what it takes of the value at `place` of the simulator's row (None: all of it)."""

    name: str
    place: int
    convert: Callable[[str], str] | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """The names by the migrations in `applied`; without any, those of `schema.sql`."""

    applied: frozenset[str] = frozenset()

    def find_table(self, table: str) -> str:
        """Return the name that the simulator's `table` has in the database."""
        return "order_payments" if table == "payments" and "payments_renamed" in self.applied else table

    def arrange(self, table: str, names: Sequence[str]) -> list[Column]:
        """Return the database's columns for rows that have the simulator's columns `names`."""
        return [column for place, name in enumerate(names) for column in self._spread(table, name, place)]

    def make_source(self, table: str, name: str) -> Composable:
        """Return the SQL expression that reads the simulator's column `name`."""
        if (table, name) == ("customers", "full_name") and "full_name_dropped" in self.applied:
            return SQL("concat_ws(' ', first_name, nullif(last_name, ''))")
        return Identifier(self._spread(table, name, 0)[0].name)

    def _spread(self, table: str, name: str, place: int) -> list[Column]:
        match table, name:
            case "customers", "full_name":
                whole = [] if "full_name_dropped" in self.applied else [Column(name, place)]
                parts = [Column("first_name", place, _first_name), Column("last_name", place, _last_name)]
                return [*whole, *parts] if "name_split" in self.applied else whole
            case "orders", "shipping_fee":
                return [Column("delivery_fee" if "delivery_fee" in self.applied else name, place)]
            case "orders", "status":
                return [Column(name, place, None if "status_returned" in self.applied else _old_status)]
            case _:
                return [Column(name, place)]


def arrange_rows(columns: Sequence[Column], rows: Iterable[Row]) -> Iterable[Row]:
    """Return the rows as the database's columns take them; where nothing differs these are the rows themselves."""
    if all(column.place == place and column.convert is None for place, column in enumerate(columns)):
        return rows
    return (tuple(column.convert(str(row[column.place])) if column.convert else row[column.place] for column in columns) for row in rows)


def _first_name(full_name: str) -> str:
    return full_name.partition(" ")[0]


def _last_name(full_name: str) -> str:
    return full_name.partition(" ")[2]


def _old_status(status: str) -> str:
    return "refunded" if status == "returned" else status
