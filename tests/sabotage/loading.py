"""Mutations of the load: the SQL that the warehouse runs, the numbers that it counts, and the healing of a comparison."""

from dataclasses import replace
from typing import Any

from pipelines.sync import heal
from pipelines.warehouses import duckdb_commit, duckdb_sql
from tests.sabotage.mutation import Mutation, after, instead, replacing


def _first_only(original: Any) -> Any:
    return lambda load, rows: original(replace(load, spec=replace(load.spec, key=load.spec.key[-1:])), rows)


def _insert_again(original: Any) -> Any:
    return lambda load: f"{duckdb_sql.insert(load)} returning 'INSERT'"


def _folded(text: str) -> str:
    return text.replace('target."region"', 'lower(target."region")').replace('staged."region"', 'lower(staged."region")')


def _but(name: str) -> Any:
    return after(lambda names: [one for one in names if one != name])


def _insert_twice(original: Any) -> Any:
    def insert(load: Any) -> str:
        text = original(load)
        return f"{text} union all select {text.partition(' select ')[2]}"

    return insert


def _miscounted(original: Any) -> Any:
    def count(commit: Any, relation: str) -> int:
        return original(commit, relation) + (relation == "aside")

    return count


def _at_most_one(original: Any) -> Any:
    return lambda engine, spec, keys, *rest: original(engine, spec, keys[:1], *rest)


def _utc(original: Any) -> Any:
    return lambda column, is_instant, _: original(column, is_instant, "UTC")


LOADING = (
    Mutation("the merge only appends", "orders", duckdb_sql, "merge", _insert_again),
    Mutation("the merge forgets a column", "orders", duckdb_sql, "_others", _but("m")),
    Mutation("the old version of a row wins", "moving", duckdb_sql, "accepted", replacing("desc", "asc")),
    Mutation("the rows that stood are not replaced", "lines", duckdb_sql, "delete_vanished", instead(None)),
    Mutation("deletes are ignored in a day", "events", duckdb_sql, "delete_vanished", instead(None)),
    Mutation("deletes are ignored by the night", "accounts", duckdb_sql, "delete_vanished", instead(None)),
)
MORE_LOADING = (
    Mutation("the merge looks at one column of the key", "orders", duckdb_sql, "_same_key", _first_only),
    Mutation("the merge folds the key's case", "orders", duckdb_sql, "_same_key", after(_folded)),
    Mutation("the merge updates nothing", "orders", duckdb_sql, "merge", replacing("when matched and (", "when matched and false and (")),
    Mutation(
        "the merge inserts nothing", "stock", duckdb_sql, "merge", replacing("when not matched then", "when not matched and false then")
    ),
    Mutation("the merge takes NULL for equal", "stock", duckdb_sql, "_differs", after(lambda text: text.replace("is distinct from", "<>"))),
    Mutation("rows are inserted twice", "lines", duckdb_sql, "insert", _insert_twice),
    Mutation("deletes are ignored in a snapshot", "stock", duckdb_sql, "delete_vanished", instead(None)),
    Mutation("all days are replaced by the last ones", "events", duckdb_sql, "_scope", instead("true")),
    Mutation("days are replaced by another zone's", "events", duckdb_sql, "day_expression", _utc),
    Mutation(
        "microseconds are cut while loading",
        "orders",
        duckdb_sql,
        "landed_view",
        replacing('"instant"', 'date_trunc(\'millisecond\', "instant") as "instant"'),
    ),
    Mutation("a row is lost while loading", "events", duckdb_sql, "accepted", after(lambda text: f"select * from ({text}) where n <> 100")),
    Mutation("one row too many is counted", "orders", duckdb_commit.Commit, "_count", _miscounted),
    Mutation("updates are not counted", "stock", duckdb_commit, "Counter", lambda _: lambda actions: {"INSERT": 0, "UPDATE": 0}),
    Mutation("the night heals one row of many", "accounts", heal, "reread_keys", _at_most_one),
)
