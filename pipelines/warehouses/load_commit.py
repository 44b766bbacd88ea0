"""The one transaction of a load: rows, quarantine, days, ledger, watermark and, last of all, the fence.

What comes before it, the raw table's columns and the session's own tables, is part of the transaction where the warehouse can do that.
"""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pipelines.errors import LandingCorrupt, LoadConflict
from pipelines.sync import codec
from pipelines.sync.model import Counts, LedgerEntry, SchemaVersion, StagedLoad
from pipelines.sync.plan import is_reread
from pipelines.sync.steps import step
from pipelines.warehouses import load_marks
from pipelines.warehouses import load_sql as sql
from pipelines.warehouses.dialect import OF_TABLE, Run, names_of
from pipelines.warehouses.load_days import count_skipped, record_days, void_days
from pipelines.warehouses.load_fence import advance_watermark, is_ours, overtaken
from pipelines.warehouses.load_masks import drop_masked, redact_table
from pipelines.warehouses.load_quarantine import find_still_bad, forget_quarantine, replace_quarantine, stage_aside
from pipelines.warehouses.load_shape import comment_on, fit_table, record_version

LEDGER = (
    *("load_id", "source_name", "table_name", "mode", "window_spec", "rows_read", "rows_inserted", "rows_updated", "rows_unchanged"),
    *("rows_superseded", "rows_quarantined", "rows_deleted", "total_rows", "quarantined_open", "chunks", "bytes", "files"),
    *("schema_version", "token", "planned_at", "data_as_of", "committed_at", "released_by", "statements"),
)
TO_COME = 3  # statements when the ledger is written: itself, the fence and the COMMIT


class Staged(NamedTuple):
    """How many rows there are in the tables of a load's session, by their names; see ``load_sql``."""

    landed: int
    excluded: int
    aside: int


class Commit:
    """The statements of one load, in the order they run; the caller owns BEGIN, COMMIT and ROLLBACK.

    ``prepare`` alters the raw table and stages the load, without a row that anybody sees; ``apply`` does the rest.
    """

    def __init__(self, run: Run, load: StagedLoad) -> None:
        """Keep what runs a statement, and the load."""
        self._run, self._load, self._now = run, load, datetime.now(UTC)
        self._to = run.dialect
        self._is_reread = self._is_remade = self._is_quarantining = False
        self._later: list[tuple[str, dict[str, Any]]] = []
        self._names = names_of(load.spec)

    def prepare(self) -> None:
        """Fit the raw table to the load, and stage it. Raises ``LoadConflict`` if the fence does not hold any more."""
        # Before the first DDL, which would fail on a table that another run has altered since.
        if not is_ours(self._run, self._load):
            raise overtaken(self._load)
        with step("load.schema"):
            self._prepare_table()
        with step("load.rows"):
            self._stage()

    def apply(self) -> LedgerEntry:
        """Change rows and all that is known of them. Raises ``LoadConflict`` if the fence does not hold."""
        for statement, parameters in self._later:
            self._run(statement, **parameters)
        with step("load.rows"):
            counts = self._move_rows()
        # In one order everywhere, first the days and then the quarantine: loads of two tables wait for each other's locks there.
        record_days(self._run, self._load, self._now)
        with step("load.quarantine"):
            if self._is_quarantining:
                replace_quarantine(self._run, self._load, self._now)
            if self._is_remade:
                redact_table(self._run, self._load, self._now)
            if self._load.forgotten_by:
                forget_quarantine(self._run, self._load, self._now)
        with step("commit.ledger"):
            entry = self._record(counts)
        with step("commit.fence"):
            advance_watermark(self._run, self._load, self._now)
        return entry

    def _note(self, statement: str, **parameters: Any) -> None:  # noqa: ANN401 - SQL values
        self._later.append((statement, parameters))

    def _prepare_table(self) -> None:
        load = self._load
        stored = self._run(f"select watermark from daybreak.watermarks where {OF_TABLE}", **self._names)
        before = codec.WATERMARK.validate_json(stored[0][0]) if stored and stored[0][0] else None
        self._is_reread = is_reread(load.spec, before, load.changes, load.plan.mask_key_id)
        self._is_remade = is_reread(load.spec, before, (), load.plan.mask_key_id)
        fit_table(self._run, self._note, load, before, is_remade=self._is_remade)
        if self._is_remade:
            drop_masked(self._run, load)
        known = self._run(
            f"select 1 from daybreak.schema_versions where {OF_TABLE} and version = $version",
            **self._names,
            version=load.plan.schema_version,
        )
        if not known:
            version = SchemaVersion(load.plan.schema_version, load.plan.schema, load.told, self._now)
            record_version(self._note, load.spec, version, load.plan.load_id)
            comment_on(self._run, load.spec, load.plan.schema)

    def _stage(self) -> None:
        load = self._load
        self._run.stage_landed(load)
        stage_aside(self._run, load)
        if load.spec.partition:
            self._run.make_rows("skipped", {"day": "date"}, [(day.day,) for day in load.skipped_days])
            self._run.make_rows("changed", {"day": "date"}, [(day.day,) for day in load.days])
        # Nothing that stepped aside or waits: nothing to open and nothing to close.
        self._is_quarantining = load.quarantined > 0 or self._count_open() > 0
        if self._is_quarantining:
            find_still_bad(self._run, load)
        # A table where MERGE and the counts look again.
        self._run.stage_accepted(sql.accepted(self._to, load), is_read_once=not (load.spec.key and self._has_rows()))

    def _move_rows(self) -> Counts:
        load, spec = self._load, self._load.spec
        stamp = {"load_id": load.plan.load_id, "loaded_at": self._now}
        standing = self._count(self._to.raw_table(spec))
        before, is_filled = standing - load_marks.count_marked(self._run, load), standing > 0
        void_days(self._run, load, self._now, is_filled=is_filled, is_reread=self._is_reread)
        staged = self._count_staged()
        deleted, marked_before = load_marks.delete_vanished(self._run, load, **stamp) if is_filled else (0, 0)
        if load.plan.window.columns:
            return self._fill_columns(staged, before)
        if not load.may_repeat_keys and self._has_repeated_keys():  # told before MERGE, which refuses them in its own words
            raise self._unbalanced("a key stands in two rows of it")
        if spec.key and is_filled:
            back = load_marks.count_back(self._run, load)
            new, changed = self._run.merge(sql.merge(self._to, load), **stamp)
            inserted, updated = new + back, changed - back
            unchanged = int(self._run(sql.count_unchanged(self._to, load), **stamp)[0][0])
        else:
            inserted, updated, unchanged = int(self._run(sql.insert(self._to, load), **stamp)[0][0]), 0, 0
        skipped = count_skipped(self._run, load)
        counts = Counts(
            read=load.rows_read,
            inserted=inserted,
            updated=updated,
            # Counted, not what is left over: a row that was dropped on the way makes the load not balance.
            unchanged=unchanged + skipped,
            superseded=self._superseded_rows(staged),
            quarantined=staged.aside,
            deleted=deleted,
        )
        if not self._is_sound(counts, staged) or self._total() != before + inserted - (deleted - marked_before):
            raise self._unbalanced(counts)
        return counts

    def _fill_columns(self, staged: Staged, total: int) -> Counts:
        """Give rows that stand the values of new columns. Rows that are not there, or changed since, are of a later load."""
        load, good = self._load, self._count("staged")
        standing = int(self._run(sql.count_standing(self._to, load))[0][0])
        stamp = {"load_id": load.plan.load_id, "loaded_at": self._now}
        updated = int(self._run(sql.fill(self._to, load), **stamp)[0][0])
        counts = Counts(load.rows_read, updated=updated, unchanged=standing - updated, superseded=good - standing, quarantined=staged.aside)
        if not counts.is_balanced or good + staged.aside != load.rows_read or self._total() != total or self._has_repeated_keys():
            raise self._unbalanced(counts)
        return counts

    def _is_sound(self, counts: Counts, staged: Staged) -> bool:
        """Whether the counts agree with what landed; nothing but a row that was read twice may be superseded."""
        load = self._load
        # Of a row that was read twice, a version that stepped aside may be superseded too, so not those in quarantine are compared.
        is_told = staged.landed == load.rows_read and staged.excluded == load.quarantined
        return is_told and counts.is_balanced and (load.may_repeat_keys or counts.superseded == 0)

    def _has_repeated_keys(self) -> bool:
        """Whether a key stands in two rows to load, which neither the source's index nor the gate should have let through."""
        if not self._load.spec.key:
            return False
        return bool(self._run(f"select 1 from staged group by {sql.key_list(self._to, self._load.spec)} having count(*) > 1 limit 1"))

    def _superseded_rows(self, staged: Staged) -> int:
        """Count the versions of rows that were read twice and are not the ones that count, good and bad."""
        if not self._load.may_repeat_keys:
            return 0
        return int(self._run(sql.count_repeated(self._to, self._load))[0][0]) + staged.excluded - staged.aside

    def _unbalanced(self, counts: Counts | str) -> LandingCorrupt | LoadConflict:
        if not is_ours(self._run, self._load):  # another run changed the table while this one counted
            return overtaken(self._load)
        return LandingCorrupt(
            f"the load does not balance: {counts}, manifests say {self._load.rows_read} rows.",
            safe="Nothing was committed; the last load stands.",
            remedy="Run again: the load is read anew. If it happens twice, this is a defect of Daybreak; keep the landing folder.",
            table=self._load.spec.id,
            load_id=self._load.plan.load_id,
        )

    def _record(self, counts: Counts) -> LedgerEntry:
        load, plan = self._load, self._load.plan
        open_entries = self._count_open() if self._is_quarantining else 0
        window = {
            "column": plan.window.column,
            "lower": plan.window.lower,
            "upper": plan.window.upper,
            "days": [str(day) for day in plan.window.days],
            **({"keys": len(plan.window.keys)} if plan.window.keys else {}),  # how many: a key may be what has to be forgotten
            **({"columns": plan.window.columns} if plan.window.columns else {}),
        }
        entry = LedgerEntry(
            load_id=plan.load_id,
            source=load.spec.source,
            table=load.spec.name,
            mode=load.spec.mode,
            window=window,
            counts=counts,
            total_rows=self._total(),
            data_as_of=plan.observation.observed_at,
            committed_at=self._now,
            schema_version=plan.schema_version,
            chunks=len(load.chunks),
            bytes=sum(chunk.bytes for chunk in load.chunks),
            quarantined_open=open_entries,
            token=load.token,
            statements=self._run.statements + TO_COME,
        )
        self._run(
            f"insert into daybreak.ledger ({', '.join(LEDGER)}) values ({', '.join(f'${name}' for name in LEDGER)})",
            load_id=entry.load_id,
            source_name=entry.source,
            table_name=entry.table,
            mode=entry.mode,
            window_spec=json.dumps(window),
            rows_read=counts.read,
            rows_inserted=counts.inserted,
            rows_updated=counts.updated,
            rows_unchanged=counts.unchanged,
            rows_superseded=counts.superseded,
            rows_quarantined=counts.quarantined,
            rows_deleted=counts.deleted,
            total_rows=entry.total_rows,
            quarantined_open=open_entries,
            chunks=entry.chunks,
            bytes=entry.bytes,
            files=json.dumps([{"file": chunk.file_name, "rows": chunk.rows, "sha256": chunk.sha256} for chunk in load.chunks]),
            schema_version=entry.schema_version,
            token=load.token,
            statements=entry.statements,
            planned_at=plan.planned_at,
            data_as_of=entry.data_as_of,
            committed_at=self._now,
            released_by=load.released_by,
        )
        return entry

    def _total(self) -> int:
        return self._count(self._to.raw_table(self._load.spec)) - load_marks.count_marked(self._run, self._load)

    def _has_rows(self) -> bool:
        return bool(self._run(f"select 1 from {self._to.raw_table(self._load.spec)} limit 1"))

    def _count_open(self) -> int:
        return int(self._run(f"select count(*) from daybreak.quarantine where {OF_TABLE} and state = 'open'", **self._names)[0][0])

    def _count_staged(self) -> Staged:
        counts = ", ".join(f"(select count(*) from {name})" for name in Staged._fields)
        return Staged(*map(int, self._run(f"select {counts}")[0]))

    def _count(self, relation: str) -> int:
        return int(self._run(f"select count(*) from {relation}")[0][0])
