"""Mutations of the load: the SQL that the warehouse runs, the numbers that it counts, and the healing of a comparison."""

from dataclasses import replace
from typing import Any

from pipelines.sync import heal
from pipelines.warehouses import duckdb_dialect, load_sql
from pipelines.warehouses.load_commit import Commit
from tests.sabotage.mutation import Mutation, after, instead, replacing


def _first_only(original: Any) -> Any:
    return lambda to, load, rows: original(to, replace(load, spec=replace(load.spec, key=load.spec.key[-1:])), rows)


def _insert_again(original: Any) -> Any:
    return lambda to, load: f"{load_sql.insert(to, load)} returning 'INSERT'"


def _folded(text: str) -> str:
    return text.replace('target."region"', 'lower(target."region")').replace('staged."region"', 'lower(staged."region")')


def _but(name: str) -> Any:
    return after(lambda names: [one for one in names if one != name])


def _insert_twice(original: Any) -> Any:
    def insert(to: Any, load: Any) -> str:
        text = original(to, load)
        return f"{text} union all select {text.partition(' select ')[2]}"

    return insert


def _at_most_one(original: Any) -> Any:
    return lambda engine, spec, keys, *rest: original(engine, spec, keys[:1], *rest)


def _utc(original: Any) -> Any:
    return lambda column, is_instant, _: original(column, is_instant, "UTC")


LOADING = (
    Mutation("the merge only appends", "orders", load_sql, "merge", _insert_again),
    Mutation("the merge forgets a column", "orders", load_sql, "_others", _but("m")),
    Mutation("the old version of a row wins", "moving", load_sql, "accepted", replacing("desc", "asc")),
    Mutation("the rows that stood are not replaced", "lines", load_sql, "delete_vanished", instead(None)),
    Mutation("deletes are ignored in a day", "events", load_sql, "delete_vanished", instead(None)),
    Mutation("deletes are ignored by the night", "accounts", load_sql, "delete_vanished", instead(None)),
)
MORE_LOADING = (
    Mutation("the merge looks at one column of the key", "orders", load_sql, "_same_key", _first_only),
    Mutation("the merge folds the key's case", "orders", load_sql, "_same_key", after(_folded)),
    Mutation("the merge updates nothing", "orders", load_sql, "merge", replacing("when matched and (", "when matched and false and (")),
    Mutation(
        "the merge inserts nothing", "stock", load_sql, "merge", replacing("when not matched then", "when not matched and false then")
    ),
    Mutation("the merge takes NULL for equal", "stock", load_sql, "_differs", after(lambda text: text.replace("is distinct from", "<>"))),
    Mutation("rows are inserted twice", "lines", load_sql, "insert", _insert_twice),
    Mutation("deletes are ignored in a snapshot", "stock", load_sql, "delete_vanished", instead(None)),
    Mutation("all days are replaced by the last ones", "events", load_sql, "_scope", instead("true")),
    Mutation("days are replaced by another zone's", "events", duckdb_dialect, "day_expression", _utc),
    Mutation(
        "microseconds are cut while loading",
        "orders",
        duckdb_dialect,
        "landed_view",
        replacing('"instant"', 'date_trunc(\'millisecond\', "instant") as "instant"'),
    ),
    Mutation("a row is lost while loading", "events", load_sql, "accepted", after(lambda text: f"select * from ({text}) where n <> 100")),
    Mutation("one row too many is counted", "orders", Commit, "_count_staged", after(lambda rows: rows._replace(aside=rows.aside + 1))),
    Mutation("updates are not counted", "stock", duckdb_dialect.DuckDBRun, "merge", after(lambda _: (0, 0))),
    Mutation("the night heals one row of many", "accounts", heal, "reread_keys", _at_most_one),
)
