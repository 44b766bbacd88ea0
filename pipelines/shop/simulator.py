"""The simulated application: `create_shop` gives it a history, `advance_shop` lets days pass, `migrate_shop` changes its schema.

Deterministic: the same seed, day and sequence of calls give the same rows, down to the identifiers. A history of eight
days is the history of five after which three days passed. Each call, and each migration, is one transaction. Not here:
the rules of the simulation (`assortment.py`, `people.py`, `orders.py`, `visits.py`, `bad_rows.py`), the migrations
(`migrations.py`), the SQL (`store.py`), the server.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime

import psycopg

from pipelines.errors import PrerequisiteError, SourceUnavailable
from pipelines.shop import assortment, bad_rows, orders, people, store, visits
from pipelines.shop.layout import Layout
from pipelines.shop.migrations import Migration, find_next
from pipelines.shop.model import ONE_DAY, DayChanges, Shop, ShopSummary, make_range

__all__ = [
    "NotAShop",
    "ShopAltered",
    "ShopBusy",
    "ShopExists",
    "ShopSummary",
    "advance_shop",
    "create_shop",
    "list_applied",
    "migrate_shop",
]

# A table that waits to be altered makes all who come after wait too, so production migrations give up soon as well.
LOCK_WAIT_SECONDS = 3
UNDONE = "Nothing of this migration was done; those before it stay applied (`daybreak shop migrate --list`)."


class ShopExists(PrerequisiteError):
    """The database already holds a simulated shop. Nothing was written."""


class ShopAltered(PrerequisiteError):
    """Somebody else changed the shop's rows or tables so that the simulator cannot go on. Nothing was written."""


class NotAShop(PrerequisiteError):
    """The database holds something else than a simulated shop, or nothing. Nothing was written."""


class ShopBusy(SourceUnavailable):
    """Somebody held a lock that a migration needs for longer than it waits. Nothing of that migration was done."""


def create_shop(url: str, *, seed: int = 7, today: date, days: int = 90, events_per_day: int = 3400) -> ShopSummary:
    """Create the shop's tables and a history of the `days` complete days before `today` (midnight, UTC).

    `events_per_day` sets the size of everything else too. Raises `ShopExists`, and `NotAShop` where the database holds
    anything that is not ours.
    """
    _require_positive(days=days, events_per_day=events_per_day)
    with _open_transaction(url) as connection, _pause_garbage_collection():
        _require_empty(connection)
        store.create_tables(connection)
        layout = Layout()
        shop = Shop(seed, today - days * ONE_DAY, events_per_day)
        changes = DayChanges(shop.first_day)
        assortment.stock_shop(shop, changes)
        people.invite_first_customers(shop, changes)
        tally = store.Tally()
        tally.add(changes)
        store.write_changes(connection, layout, changes)
        for day in make_range(shop.first_day, today):
            changes = _live_through(shop, day)
            tally.add(changes)
            store.write_changes(connection, layout, changes)
        connection.execute("analyze")
        store.save_state(connection, layout, shop, today)
        return _summarize(shop, layout, today, tally)


def advance_shop(url: str, *, days: int, bad_rows: bool = False) -> ShopSummary:
    """Let the next `days` days pass, if wanted with a dozen or two bad rows on each. Raises `NotAShop`."""
    _require_positive(days=days)
    with _open_transaction(url) as connection:
        _require_shop(connection)
        shop, layout, first = store.read_shop(connection)
        tally = store.Tally()
        for day in make_range(first, first + days * ONE_DAY):
            changes = _live_through(shop, day, with_bad_rows=bad_rows)
            tally.add(changes)
            store.write_changes(connection, layout, changes)
        store.save_state(connection, layout, shop, first + days * ONE_DAY)
        return _summarize(shop, layout, first + days * ONE_DAY, tally)


def migrate_shop(url: str, *, count: int | None = 1) -> tuple[Migration, ...]:
    """Apply the next `count` migrations of the shop's application, or all that are left, each in its own transaction.

    Returns those that this call applied: fewer, or none, where nothing is left. Raises `NotAShop`, `ShopBusy` and
    `ShopAltered`; the migrations before the one that failed stay applied.
    """
    if count is not None:
        _require_positive(count=count)
    applied: list[Migration] = []
    while (count is None or len(applied) < count) and (migration := _apply_next(url)) is not None:
        applied.append(migration)
    return tuple(applied)


def list_applied(url: str) -> dict[str, datetime]:
    """Return the names of the migrations that were applied and when (UTC), in that order. Raises `NotAShop`."""
    with _open_transaction(url) as connection:
        _require_shop(connection)
        return store.read_applied(connection)


def _apply_next(url: str) -> Migration | None:
    what = "The shop's next migration"
    try:
        with _open_transaction(url, safe=UNDONE) as connection:
            _require_shop(connection)
            connection.execute("select set_config('lock_timeout', %s, true)", (f"{LOCK_WAIT_SECONDS}s",))
            store.lock_state(connection)
            migration = find_next(store.read_applied(connection))
            if migration is not None:
                what = f"Migration `{migration.name}` of the shop"
                store.apply_migration(connection, migration)
            return migration
    except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected) as error:
        raise ShopBusy(
            f"{what} got no lock within {LOCK_WAIT_SECONDS} s: somebody reads or writes what it changes.",
            safe=UNDONE,
            remedy="Try again when the transaction that holds the lock has ended; `select pid, query from pg_stat_activity"
            " where xact_start is not null` shows it.",
        ) from error


def _live_through(shop: Shop, day: date, *, with_bad_rows: bool = False) -> DayChanges:
    """Simulate one day and return what it changes. Who or what is new today takes part from tomorrow on."""
    changes = DayChanges(day)
    visits.erase_events(shop, changes)
    assortment.reprice_products(shop, changes)
    visits.receive_visits(shop, changes)
    orders.move_orders(shop, changes)
    people.change_profiles(shop, changes)
    people.change_addresses(shop, changes)
    people.sign_up_customers(shop, changes)
    assortment.launch_product(shop, changes)
    if with_bad_rows:
        bad_rows.add_bad_rows(shop, changes)
    return changes


@contextmanager
def _open_transaction(
    url: str, *, safe: str = "Nothing was written: the whole call was one transaction."
) -> Iterator[store.ShopConnection]:
    with psycopg.connect(url) as connection:
        connection.execute("set local timezone to 'UTC'")
        try:
            yield connection
        # The last two: what hangs on a column (a view, a rule) keeps a migration from changing it.
        except (psycopg.IntegrityError, psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.InternalError) as error:
            raise ShopAltered(
                [f"{_name_database(connection)} is not as the simulator left it: {error.diag.message_primary or error}."],
                safe=safe,
                remedy="Undo what was changed by hand (rows with keys that the simulator gives next, altered tables, views), "
                "or begin again: `daybreak shop stop`, delete the folder `shop` of the home, `daybreak shop start`.",
            ) from error


@contextmanager
def _pause_garbage_collection() -> Iterator[None]:
    """The history makes millions of objects and no cycles: looking for some took 2 s of 8 s processor time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _require_positive(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ValueError(f"`{name}` is {count}, expected at least 1. Nothing was written.")


def _has_shop(connection: store.ShopConnection) -> bool:
    row = connection.execute("select to_regclass('simulator.state')").fetchone()
    return bool(row and row[0]) and connection.execute("select 1 from simulator.state").fetchone() is not None


def _require_shop(connection: store.ShopConnection) -> None:
    if not _has_shop(connection):
        raise NotAShop(
            [f"{_name_database(connection)} holds no simulated shop."],
            safe="Nothing was written.",
            remedy="Create one with `create_shop`.",
        )


def _require_empty(connection: store.ShopConnection) -> None:
    database = _name_database(connection)
    if _has_shop(connection):
        raise ShopExists(
            [f"{database} already holds a simulated shop."],
            safe="Nothing was written.",
            remedy="Let days pass in it with `advance_shop`, or drop and create the database to begin again.",
        )
    found = connection.execute(
        "select format('%I.%I', nspname, relname) from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
        " where nspname in ('public', 'simulator')"
        " union all select format('%I.%I', nspname, typname) from pg_type join pg_namespace"
        " on pg_namespace.oid = typnamespace where nspname in ('public', 'simulator') and typrelid = 0 and typelem = 0"
        " union all select nspname from pg_namespace where nspname = 'simulator' order by 1 limit 5"
    ).fetchall()
    if found:
        names = ", ".join(name for (name,) in found)
        raise NotAShop(
            [f"{database} is not empty: it holds {names}, expected nothing in the schemas `public` and `simulator`."],
            safe="Nothing was written.",
            remedy="Give the simulator a database of its own.",
        )


def _name_database(connection: store.ShopConnection) -> str:
    return f"Database `{connection.info.dbname}` on `{connection.info.host}`"


def _summarize(shop: Shop, layout: Layout, today: date, tally: store.Tally) -> ShopSummary:
    return ShopSummary(
        first_day=shop.first_day,
        today=today,
        inserted={layout.find_table(table): len(keys) for table, keys in tally.inserted.items()},
        updated={layout.find_table(table): len(keys) for table, keys in tally.updated.items()},
        deleted={layout.find_table(table): len(keys) for table, keys in tally.deleted.items()},
        bad_rows={layout.find_table(table): count for table, count in tally.bad_rows.items()},
    )
