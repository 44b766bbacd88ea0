"""Gives a raw table the columns of a load, inside the load's transaction. What a change may do at all is the engine's to say."""

import re
from collections.abc import Callable
from typing import Any

from pipelines.landing.scan import quote
from pipelines.sync.model import StagedLoad
from pipelines.sync.schema import raw_columns
from pipelines.warehouses import duckdb_sql as sql

Run = Callable[..., list[tuple[Any, ...]]]

_OLDER = "_before_v"
_ACTUAL = "select column_name, data_type from duckdb_columns() where schema_name = $schema and table_name = $table"


def fit_table(run: Run, load: StagedLoad, is_remade: bool) -> None:
    """Create or alter the raw table. ``is_remade``: masks may have changed, so what was readable before must not stay."""
    spec, table = load.spec, sql.raw_table(load.spec)
    run(f"create schema if not exists {sql.schema_name(spec)}")
    run(sql.create_table(spec, raw_columns(spec, load.plan.schema)))
    _make_room(run, load)
    for statement in sql.apply_changes(spec, load.changes):
        run(statement)
    actual = _columns(run, load)
    if is_remade:
        for name in (name for name in actual if _is_masked(load, name)):
            run(f"alter table {table} drop column {quote(name)}")
    for column in load.columns:
        found, wanted = actual.get(column.name.casefold()), sql.duckdb_type(column.arrow_type)
        if found and is_remade and (found != _type_name(run, wanted) or spec.masks.get(column.name) == "hmac"):
            run(f"alter table {table} drop column {quote(column.name)}")
            found = None
        if not found:
            run(f"alter table {table} add column {quote(column.name)} {wanted}")


def _is_masked(load: StagedLoad, column: str) -> bool:
    """Whether a column (its name folded) must go: a mask drops it, or it is an older one whose name a masked one has now."""
    folded = {name.casefold(): mask for name, mask in load.spec.masks.items()}
    older = re.fullmatch(rf"(.+){_OLDER}\d+", column, re.DOTALL)
    return folded.get(column) == "drop" or bool(older and older[1] in folded and column not in folded)


def _make_room(run: Run, load: StagedLoad) -> None:
    """Rename a column that the source dropped earlier and whose name now belongs to another one; its values are kept."""
    actual = _columns(run, load)
    leaving = {change.before.name.casefold() for change in load.changes if change.kind == "rename" and change.before}
    for change in load.changes:
        name = change.after.name if change.after and change.kind in ("add", "rename") else ""
        if name.casefold() in actual and name.casefold() not in leaving:
            kept = f"{name}{_OLDER}{load.plan.schema_version}"
            run(f"alter table {sql.raw_table(load.spec)} rename column {quote(name)} to {quote(kept)}")


def _columns(run: Run, load: StagedLoad) -> dict[str, str]:
    return {name.casefold(): kind for name, kind in run(_ACTUAL, schema=f"raw_{load.spec.source}", table=load.spec.name)}


def _type_name(run: Run, type_: str) -> str:
    return str(run(f"select typeof(null::{type_})")[0][0])
