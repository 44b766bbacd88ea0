"""A table that marks deleted rows is, for whoever reads past the marks, the table that removes them, whatever happens to both."""

import random
from dataclasses import dataclass, field

import pytest

from tests.conftest import Project
from tests.integration.comparing import reconcile

pytestmark = pytest.mark.slow

STEPS = 14
COUNTS = "rows_read, rows_inserted, rows_updated, rows_unchanged, rows_quarantined, rows_deleted, total_rows"


@dataclass
class Twins:
    """Two tables to which the same things happen: ``marking`` marks and ``removing`` removes."""

    project: Project
    chance: random.Random
    rows: dict[int, tuple[int, int]] = field(default_factory=dict)  # of the source: number and cursor
    former: dict[int, tuple[int, int]] = field(default_factory=dict)  # as they were when they were deleted
    clock: int = 0

    def write(self) -> None:
        """Do a few things to both tables, also behind the cursor."""
        for _ in range(self.chance.randint(1, 4)):
            key = self.chance.randint(1, 12)
            self.clock += 1
            cursor = self.clock if self.chance.random() < 0.7 else self.chance.randint(0, self.clock)
            value = (self.chance.randint(-1, 5), cursor)
            if key in self.rows and self.chance.random() < 0.6:
                self.former[key] = self.rows.pop(key)
                self.run("delete from {table} where id = " + str(key))
                continue
            if key in self.former and self.chance.random() < 0.6:
                value = self.former[key]  # it comes back as it was
            self.rows[key] = value
            upsert = f"on conflict (id) do update set n = {value[0]}, moved = {value[1]}"
            self.run(f"insert into {{table}} values ({key}, {value[0]}, {value[1]}) {upsert}")

    def run(self, statement: str) -> None:
        self.project.run(*(statement.format(table=table) for table in ("marking", "removing")))

    def sync(self) -> None:
        outcomes = {self.project.sync(table).outcome for table in ("marking", "removing")}
        assert len(outcomes) == 1

    def heal(self) -> None:
        by_mark, by_removal = (reconcile(self.project, table, is_healing=True, overruled_by="ada") for table in ("marking", "removing"))
        alike = (
            "outcome",
            "source_rows",
            "warehouse_rows",
            "missing",
            "extra",
            "different",
            "reread",
            "deleted",
            "in_flight",
            "quarantined",
        )
        assert [getattr(by_mark, name) for name in alike] == [getattr(by_removal, name) for name in alike]

    def check(self) -> None:
        ask = self.project.ask
        assert ask("select id, n, moved from raw_shop.marking where _deleted_at is null order by id") == ask(
            "select id, n, moved from raw_shop.removing order by id"
        )
        ledgers = [
            ask(f"select {COUNTS} from daybreak.ledger where table_name = '{name}' order by token") for name in ("marking", "removing")
        ]
        assert ledgers[0] == ledgers[1]
        stale = [
            ask(f"select key, state, stale_load_id is null from daybreak.quarantine where table_name = '{name}' order by all")
            for name in ("marking", "removing")
        ]
        assert stale[0] == stale[1]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_happens_its_rows_and_its_numbers_are_those_of_a_table_that_removes(project: Project, seed: int) -> None:
    twins = Twins(project, random.Random(seed))
    gate = {"expect_column_values_to_be_between": {"column": "n", "min_value": 0}, "on_failure": "quarantine"}
    for table, how in (("marking", "mark"), ("removing", "remove")):
        project.run(f"create table {table} (id int primary key, n int, moved int)")
        project.declare(
            table,
            "incremental",
            key=["id"],
            cursor="moved",
            deletes="reconcile",
            deleted_rows=how,
            max_quarantined=1.0,
            expectations=[gate],
        )
    twins.write()
    twins.sync()
    for _ in range(STEPS):
        twins.chance.choice([twins.write, twins.write, twins.sync, twins.heal])()
        twins.check()
    twins.sync()
    twins.heal()
    twins.check()
    aside = {int(key[2:-2]) for (key,) in project.ask("select key from daybreak.quarantine where state = 'open'")}  # left out by key
    standing = {key for (key,) in project.ask("select id from raw_shop.marking where _deleted_at is null")}
    assert standing - aside == set(twins.rows) - aside
    marked = {key for (key,) in project.ask("select id from raw_shop.marking where _deleted_at is not null")}
    assert not marked & (set(twins.rows) - aside)
