"""Loads that change a raw table's columns, on a warehouse whose DDL cannot be undone.

Such a load is made in a copy of the table, beside it, and its transaction notes that the copy is to take the table's place. After the
COMMIT one statement does that: the table is replaced by a clone of the copy, and then the copy is dropped. A crash before the COMMIT
leaves a copy that nobody named, which the next load drops; a crash after it leaves the note, and whoever works on the table next does
the rest. As long as the copy stands, it has not been done, or can be done again: nobody loads the table before the copy is gone. So
two who do it at once, or one who was stopped in the middle and goes on much later, harm nothing.
"""

import re

from pipelines.names import BESIDE
from pipelines.sync import codec
from pipelines.sync.model import StagedLoad
from pipelines.sync.plan import is_reread
from pipelines.sync.schema import is_restart
from pipelines.sync.shape import SchemaChange
from pipelines.warehouses import load_ddl
from pipelines.warehouses.dialect import OF_TABLE, Named, names_of
from pipelines.warehouses.load_shape import find_standing
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_run import SnowflakeRun, drop_copy

# Loads that were made beside their table and are to take its place; the row goes when they have.
SWAPS = """
create transient table if not exists daybreak.swaps (
    source_name varchar not null,
    table_name varchar not null,
    load_id varchar not null,
    suffix varchar not null, -- of the name that it was made under
    owner varchar, -- the role that has the table: who replaces it would have it else
    kept_as varchar -- what the older table is called from then on; NULL: it goes
)
"""


def make_beside(run: SnowflakeRun, load: StagedLoad) -> str | None:
    """Copy the raw table, if the load does more to it than add columns; return the suffix of the copy's name."""
    spec, tables = load.spec, run.tables(load.spec)
    _drop_orphans(run, load, tables)
    if run.dialect.stored(spec.name) not in tables or not _is_needed(run, load):
        return None
    suffix = f"{BESIDE}{load.token}"  # its own: a run that was overtaken and does not know it yet makes another one
    copy = run.beside(suffix).dialect.raw_table(spec)
    run(f"create or replace transient table {copy} clone {run.dialect.raw_table(spec)} copy grants")
    return suffix


def note_swap(run: SnowflakeRun, load: StagedLoad, suffix: str) -> None:
    """Note, in the load's transaction, that the copy is to take the raw table's place."""
    spec, kept_as = load.spec, None
    if is_restart(spec, load.changes):
        kept_as = load_ddl.kept_name(spec.name, load.plan.schema_version, {name.casefold() for name in run.tables(spec)})
    run(
        "insert into daybreak.swaps (source_name, table_name, load_id, suffix, owner, kept_as) "
        "values ($source, $table, $load_id, $suffix, $owner, $kept_as)",
        load_id=load.plan.load_id,
        suffix=suffix,
        owner=run.owner(spec),
        kept_as=kept_as,
        **names_of(spec),
    )


def finish_swaps(run: SnowflakeRun, table: Named) -> None:
    """Do what committed loads of a table have left to do."""
    left = run(f"select load_id, suffix, owner, kept_as from daybreak.swaps where {OF_TABLE}", **names_of(table))
    for load_id, suffix, owner, kept_as in left:
        if _is_there(run, table, suffix):
            _replace(run, table, suffix, owner, kept_as)
        drop_copy(run, run.beside(suffix).dialect.raw_table(table))
        run(f"delete from daybreak.swaps where {OF_TABLE} and load_id = $load_id", load_id=load_id, **names_of(table))


def _replace(run: SnowflakeRun, table: Named, suffix: str, owner: str | None, kept_as: str | None) -> None:
    """Put a clone of the copy in the table's place, in one step; the older table goes, or stays under a name that it is to have."""
    to, name, copy = run.dialect, run.dialect.raw_table(table), run.beside(suffix).dialect.raw_table(table)
    # What is copied are the privileges on the table that goes; not who owns it.
    give = f"to role {SnowflakeDialect.exactly(owner)} copy current grants" if owner else None
    try:
        if kept_as:
            kept = f"{to.schema_name(table)}.{to.quote(kept_as)}"
            run(f"create transient table if not exists {kept} clone {name} copy grants")
            if give:
                run(f"grant ownership on table {kept} {give}")
        run(f"alter table {name} set data_retention_time_in_days = 0")  # it may have what must not stay
        run(f"create or replace transient table {name} clone {copy} copy grants")
        if give:
            run(f"grant ownership on table {name} {give}")
    except Exception:
        if _is_there(run, table, suffix):
            raise
        # Somebody else has done it meanwhile.


def _is_there(run: SnowflakeRun, table: Named, suffix: str) -> bool:
    return run.beside(suffix).dialect.stored(table.name) in run.tables(table)


def _is_needed(run: SnowflakeRun, load: StagedLoad) -> bool:
    if is_restart(load.spec, load.changes) or any(_is_rewriting(run.dialect, change) for change in load.changes):
        return True
    if load.changes and load_ddl.make_room(load.changes, load.plan.schema_version, find_standing(run, load)):
        return True
    stored = run(f"select watermark from daybreak.watermarks where {OF_TABLE}", **names_of(load.spec))
    before = codec.WATERMARK.validate_json(stored[0][0]) if stored and stored[0][0] else None
    is_marked_now = load.watermark.has_marks and not (before and before.has_marks)
    return is_marked_now or is_reread(load.spec, before, (), load.plan.mask_key_id)


def _is_rewriting(to: SnowflakeDialect, change: SchemaChange) -> bool:
    """Whether a change does more than make room for new values, which readers may see before the load that brings them."""
    if change.kind == "widen" and change.before and change.after:
        return not to.widens_in_place(change.before, change.after)
    return change.kind not in ("add", "drop")


def _drop_orphans(run: SnowflakeRun, load: StagedLoad, tables: list[str]) -> None:
    """Drop copies that no COMMIT named; those of swaps that are left to do were taken care of before."""
    is_copy = re.compile(rf"{re.escape(load.spec.name + BESIDE)}(\d+)", re.IGNORECASE)
    for name in tables:
        found = is_copy.fullmatch(name)
        if found and int(found[1]) < load.token:
            drop_copy(run, f"{run.dialect.schema_name(load.spec)}.{run.dialect.quote(name)}")
