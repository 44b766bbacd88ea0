"""Deliberate defects of a pipeline, each done to the loaded table: the comparison must find every one that loses or alters data.

No sync may mend them meanwhile: it reads what may have changed, and these rows did not.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from tests.conftest import Project
from tests.sabotage.bench import CONFIG, compare, warm

COLUMNS = (
    "id bigint primary key, small smallint, n int, m int, big bigint, price numeric(12, 4), exact numeric, f4 real, f8 double precision, "
    "ok bool, name text, city varchar(40), raw bytea, day date, clock time, naive timestamp, instant timestamptz, tag uuid, doc json, "
    "list int[], updated_at timestamptz"
)
ROW = (
    "i, i, i, -i, i * 3000000000, i + 0.1234, ('0.' || i || '00')::numeric, i / 3.0, i / 3.0, i % 2 = 0, 'Zoë ' || i || ' ', '', "
    "decode('00ff7e0a', 'hex'), date '2026-03-01' + i, time '10:00:00.123456', timestamp '2026-03-01 10:00:00.123456', "
    "timestamptz '2026-03-29 00:30:00.123456+00' + i * interval '1 h', '0000000a-0000-0000-0000-00000000000a'::uuid, "
    "'{\"a\":  1, \"b\": null}', array[i, null, 3], '2026-03-01'::timestamptz + i * interval '1 s'"
)
ONE = "where id = 17"
# What went wrong, and what the warehouse looks like then.
MUTATIONS = {
    "a row of a batch was dropped": "delete from t where id = 13",
    "the last row was dropped": "delete from t where id = 60",
    "the first row was dropped": "delete from t where id = 1",
    "a file was skipped": "delete from t where id between 8 and 14",
    "a row was loaded twice": "insert into t select * from t where id = 13",
    "a chunk was loaded twice": "insert into t select * from t where id between 8 and 14",
    "a row of nobody's came in": "insert into t by name select * replace (1000 as id) from t where id = 13",
    "two integer columns were swapped": "update t set n = m, m = n",
    "two columns of different types were swapped in one row": f"update t set name = city, city = name {ONE}",
    "two rows swapped a value": "update t set name = case id when 5 then 'Zoë 6 ' else 'Zoë 5 ' end where id in (5, 6)",
    "a row has another row's content": "update t set n = 18, m = -18 where id = 17",
    "microseconds were cut from instants": "update t set instant = date_trunc('millisecond', instant)",
    "microseconds were cut from naive times": f"update t set naive = date_trunc('millisecond', naive) {ONE}",
    "microseconds were cut from the clock": f"update t set clock = time '10:00:00.123' {ONE}",
    "a time zone was applied twice": f"update t set instant = instant + interval 1 hour {ONE}",
    "the day was taken in another zone": f"update t set day = day - 1 {ONE}",
    "a cursor was rounded": f"update t set updated_at = updated_at - interval 1 microsecond {ONE}",
    "text was decoded with the wrong charset": "update t set name = replace(name, 'ë', 'Ã«')",
    "text was trimmed": f"update t set name = trim(name) {ONE}",
    "text was cut": f"update t set name = left(name, 4) {ONE}",
    "text was written in capitals": f"update t set name = upper(name) {ONE}",
    "letters were composed otherwise": f"update t set name = replace(name, 'ë', 'e' || chr(776)) {ONE}",
    "NULL came from empty text": f"update t set city = null {ONE}",
    "NULL came from a number": f"update t set small = null {ONE}",
    "a number was cut to 16 bits": f"update t set big = big % 65536 {ONE}",
    "a sign was lost": f"update t set m = abs(m) {ONE}",
    "a decimal was rounded": f"update t set price = round(price, 2) {ONE}",
    "a decimal went through a float": f"update t set exact = '0.17' {ONE}",
    "a double went through a float": f"update t set f8 = f8::float {ONE}",
    "a float lost its last digit": f"update t set f4 = round(f4, 4) {ONE}",
    "a boolean was turned round": f"update t set ok = not ok {ONE}",
    "bytes were cut at a zero": f"update t set raw = ''::blob {ONE}",
    "bytes were taken for text": f"update t set raw = encode('\\x00ff7e0a') {ONE}",
    "an id was written in capitals": f"update t set tag = upper(tag) {ONE}",
    "a document was written anew": f'update t set doc = \'{{"a":1,"b":null}}\' {ONE}',
    "a list lost its NULL": f"update t set list = '{{17,3}}' {ONE}",
}


@dataclass(frozen=True)
class Loaded:
    """A project whose table was loaded once, and its warehouse as it was then."""

    project: Project
    kept: Path

    def compare(self, *statements: str) -> str:
        """Return the outcome of a comparison with a warehouse in which ``statements`` were run on the raw table."""
        warehouse = self.project.home / "warehouse.duckdb"
        shutil.copy(self.kept, warehouse)
        with warm(self.project):
            with duckdb.connect(str(warehouse), config=CONFIG) as connection:
                connection.execute("set TimeZone = 'UTC'")
                connection.execute("use raw_shop")
                for statement in statements:
                    connection.execute(statement)
            return compare(self.project, "t").outcome


@pytest.fixture
def loaded(project: Project) -> Loaded:
    project.environment["DAYBREAK_CHUNK_ROWS"] = "1000"
    project.run(f"create table t ({COLUMNS})", f"insert into t select {ROW} from generate_series(1, 60) i")
    project.declare("t", "incremental", key=["id"], cursor="updated_at", deletes="reconcile")
    project.commit("t")
    kept = project.home / "kept.duckdb"
    shutil.copy(project.home / "warehouse.duckdb", kept)
    return Loaded(project, kept)


def test_every_sabotage_is_found(loaded: Loaded) -> None:
    assert loaded.compare() == "equal"
    unseen = [name for name, statement in MUTATIONS.items() if loaded.compare(statement) != "differs"]
    assert unseen == []


def test_a_watermark_that_ran_ahead_of_the_rows_is_found(loaded: Loaded) -> None:
    loaded.project.run(f"insert into t select {ROW} from generate_series(61, 63) i")
    assert loaded.compare() == "equal"  # they are newer than the load
    ahead = (
        "update daybreak.watermarks set watermark = replace(watermark::varchar, '2026-03-01 00:01:00+00', '2026-03-01 00:01:03+00')::json"
    )
    assert loaded.compare(ahead) == "differs"


def test_an_update_and_a_delete_that_were_lost_are_found(loaded: Loaded) -> None:
    loaded.project.run("update t set n = 0 where id = 9")
    assert loaded.compare() == "differs"
    loaded.project.run("update t set n = 9 where id = 9")
    assert loaded.compare() == "equal"
    loaded.project.run("delete from t where id = 9")
    assert loaded.compare() == "differs"
