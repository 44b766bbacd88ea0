"""What becomes of loads in a bucket: held ones are let in elsewhere, old ones go, and a row that is forgotten is in no object."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import LandingCorrupt, LoadConflict
from pipelines.landing.bucket import Bucket
from pipelines.landing.bucket_shelf import BucketShelf
from pipelines.landing.cleaning import purge_orphans, purge_other_entries
from pipelines.landing.held import HeldLoad, list_held
from pipelines.landing.store import Landing
from pipelines.quarantine import release
from pipelines.sync import codec
from pipelines.sync.forget import Forgotten, forget_row
from pipelines.sync.model import LoadPlan
from pipelines.wiring import SyncRequest, open_engine, open_landing
from tests.conftest import Project
from tests.crash.conftest import Forker, Run
from tests.crash.crashing import DIED
from tests.s3.conftest import LEASE_SECONDS, Server, another_machine, names
from tests.s3.test_other_machine import reads
from tests.s3.test_sync import make_table
from tests.unit.test_landing import SPEC, plan

pytestmark = pytest.mark.slow

MANY = {"expect_table_row_count_to_be_between": {"min_value": 1000}, "on_failure": "hold"}


def hold(project: Project, **entry: Any) -> HeldLoad:
    make_table(project, "snapshot", expectations=[MANY], **entry)
    assert project.sync("t").outcome == "held"
    return list_held(open_landing(project.settings))[-1]


def forget(project: Project, *key: str) -> Forgotten:
    source = project.settings.sources()[0]
    with open_engine(project.settings, SyncRequest(source, source.tables)) as engine:
        return forget_row(engine, source.tables[0], key, "alice")


def test_a_load_that_was_held_on_one_machine_is_let_in_on_another(landed: Project) -> None:
    held = hold(landed)
    assert landed.files("t") == []
    other = another_machine(landed)
    (seen,) = list_held(open_landing(other.settings))
    assert (seen.plan, seen.rows, seen.reason) == (held.plan, 20, held.reason)
    assert release(other.settings, held.plan.load_id, "ada")[1].state == "released"
    landed.check("t")
    assert list_held(open_landing(landed.settings)) == []
    assert other.files("t") == []


def test_two_machines_that_let_a_load_in_at_once_let_it_in_once(landed: Project) -> None:
    held = hold(landed)
    outcomes: list[str] = []

    def let_in(project: Project) -> None:
        try:
            outcomes.append(release(project.settings, held.plan.load_id, "ada")[1].state)
        except Exception as error:
            outcomes.append(type(error).__name__)

    threads = [threading.Thread(target=let_in, args=[project]) for project in (landed, another_machine(landed))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes)[-1] == "released"
    assert landed.loads() == 1
    landed.check("t")


@pytest.mark.parametrize("damage", ["altered", *(pytest.param(damage, marks=pytest.mark.slow) for damage in ("missing", "no record"))])
def test_a_held_load_whose_objects_are_damaged_is_not_let_in(landed: Project, bucket: Bucket, damage: str) -> None:
    held = hold(landed)
    hurt(bucket, damage)
    with pytest.raises(LandingCorrupt, match="cannot be let in"):
        release(another_machine(landed).settings, held.plan.load_id, "ada")
    assert landed.loads() == 0


def hurt(bucket: Bucket, damage: str, number: int = 1) -> None:
    """Damage the second chunk."""
    kind = "loads/" if damage == "no record" else "chunks/"
    (name,) = [name for name in names(bucket, kind) if f"/chunk-{number:06d}" in name]
    found = bucket.get(name)
    assert found
    bucket.delete([name])
    if damage == "altered":
        bucket.put_new(name, found.body[:60] + bytes([found.body[60] ^ 1]) + found.body[61:])


@pytest.mark.parametrize("damage", ["altered", *(pytest.param(damage, marks=pytest.mark.slow) for damage in ("missing", "no record"))])
def test_from_a_damaged_object_on_an_unfinished_load_is_read_again(landed: Project, bucket: Bucket, run: Run, damage: str) -> None:
    make_table(landed, "snapshot", 40)
    assert run(landed, ("land.manifest", "after", 4))["code"] == DIED
    hurt(bucket, damage)
    again = run(another_machine(landed), None)
    assert again["code"] == 0
    assert reads(again) == 6 - 1
    landed.check("t")


def test_only_the_newest_loads_keep_their_objects(landed: Project, bucket: Bucket) -> None:
    landed.environment["DAYBREAK_KEEP_LOADS"] = "2"
    make_table(landed, "snapshot")
    for number in range(4):
        landed.run(f"update t set name = '{number}' where id = 3")
        landed.sync("t")
    ledger = [row[0] for row in landed.ask("select load_id from daybreak.ledger order by load_id")]
    assert sorted({name.split("/")[3] for name in names(bucket)}) == ledger[-2:]


def test_a_row_that_is_forgotten_is_in_no_object(landed: Project, bucket: Bucket, run: Run) -> None:
    """Not in loads that ended, nor in one that another machine left half done."""
    make_table(landed, "snapshot")
    landed.commit("t")
    landed.run("update t set name = 'new' where id < 15")
    other = another_machine(landed)
    assert run(other, ("land.manifest", "after", 1))["code"] == DIED
    assert len({name.split("/")[3] for name in names(bucket)}) == 2
    landed.run("delete from t where id = 1")
    assert forget(landed, "1").landed_loads == 2
    assert names(bucket) == []
    landed.commit("t")


def test_a_row_is_not_forgotten_while_another_machine_may_have_read_it(landed: Project, forker: Forker, bucket: Bucket) -> None:
    make_table(landed, "snapshot")
    landed.commit("t")
    landed.run("update t set name = 'new'")
    other = another_machine(landed)
    landing = open_landing(other.settings)
    with landing.open_load(other.spec("t"), plan_of(other)):
        landed.run("delete from t where id = 1")
        with pytest.raises(LoadConflict, match="another run is loading"):
            forget(landed, "1")
    assert forget(landed, "1").landed_loads == 2


def plan_of(project: Project) -> LoadPlan:
    (mark,) = open_landing(project.settings).loads(project.spec("t"))
    known = codec.PLAN.validate_json(open_landing(project.settings).shelf.read(mark, "plan.json"))
    return replace(known, load_id="7ZZZZZZZZZZZZZZZZZZZZZZZZZ")


def test_a_mask_that_comes_later_reaches_objects(landed: Project, bucket: Bucket, run: Run) -> None:
    landed.run("create table t (id int primary key, mail text)", "insert into t select i, 'ann@' || i from generate_series(1, 20) i")
    landed.declare("t", "snapshot", key=["id"])
    landed.commit("t")
    assert any(str(mail).startswith("ann@") for mail in landed_values(bucket, "mail"))
    landed.run("insert into t values (0, 'ann@0')")
    assert run(landed, ("land.manifest", "after", 1))["code"] == DIED
    landed.declare("t", "snapshot", key=["id"], columns={"mail": {"mask": "hmac"}})
    assert another_machine(landed).sync("t").outcome == "committed"
    mails = landed_values(bucket, "mail")
    assert len(mails) == 21
    assert not [mail for mail in mails if "ann" in str(mail)]


def landed_values(bucket: Bucket, column: str) -> list[object]:
    """Return what stands in a column of all Parquet files in the bucket."""
    found = [found for name in names(bucket, "chunks/") if (found := bucket.get(name))]
    return [value for one in found for value in pq.read_table(pa.BufferReader(one.body)).column(column).to_pylist()]


def test_a_load_that_is_being_made_is_neither_deleted_nor_gone_on_with_by_anybody(bucket: Bucket, tmp_path: Path) -> None:
    """Two others look all the time: a thread of this machine, and another machine."""
    here, there = (Landing(tmp_path / name, shelf=BucketShelf(tmp_path / name, bucket)) for name in "ab")
    is_over, taken = threading.Event(), list[object]()

    def look(landing: Landing) -> None:
        while not is_over.is_set():
            purge_other_entries(landing, SPEC)
            unfinished = landing.find_unfinished(SPEC)
            taken.extend([unfinished] if unfinished else [])

    others = [threading.Thread(target=look, args=[landing]) for landing in (here, there)]
    for other in others:
        other.start()
    try:
        for number in range(30):
            with here.open_load(SPEC, plan(f"L{number:03d}")) as folder:
                folder.add_chunk(pa.table({"id": [number]}), "window", None)
                folder.discard()
    finally:
        is_over.set()
        for other in others:
            other.join()
    assert taken == []
    assert names(bucket) == []


def test_a_machine_that_wakes_after_its_load_was_deleted_brings_nothing_back(landed: Project, forker: Forker, bucket: Bucket) -> None:
    make_table(landed, "snapshot")
    landed.commit("t")
    landed.run("update t set name = 'new' where id = 2")
    other = another_machine(landed)
    with forker.stopped(other, ("land.upload", "before", 1)) as zombie:
        landed.run("delete from t where id = 1")
        forget(landed, "1")
        assert names(bucket) == []
        zombie.wake()
    landed.sync("t")
    landed.check("t")
    tables = {name.split("/")[3] for name in names(bucket, "chunks/")} - {name.split("/")[3] for name in names(bucket, "loads/")}
    landing = open_landing(landed.settings)
    purge_orphans(landing, [landed.spec("t")], datetime.now(UTC) + timedelta(days=1))
    assert not {name for name in names(bucket) if name.split("/")[3] in tables}


def test_objects_of_loads_that_nobody_went_on_with_go_after_a_week(landed: Project, bucket: Bucket, run: Run) -> None:
    make_table(landed, "snapshot")
    assert run(landed, ("land.upload", "after", 2))["code"] == DIED
    landing = open_landing(another_machine(landed).settings)
    assert purge_orphans(landing, [landed.spec("t")], datetime.now(UTC) - timedelta(days=7)) == 0
    assert purge_orphans(landing, [landed.spec("t")], datetime.now(UTC) + timedelta(minutes=1)) == 1
    assert names(bucket) == []


def test_a_table_of_any_name_has_its_place(landed: Project, bucket: Bucket) -> None:
    for name in ("..", "a b%41", "ü/x"):
        quoted = f'"{name}"'
        landed.run(f"create table {quoted} (id int primary key)", f"insert into {quoted} values (1)")
        landed.declare(name, "snapshot", key=["id"])
        landed.commit(name)
    assert len({name.split("/")[2] for name in names(bucket, "loads/")}) == 3


def test_nothing_but_small_files_is_listed(landed: Project, bucket: Bucket, s3: Server, run: Run) -> None:
    """Which chunks there are is what the records say; what is listed below ``chunks/`` is deleted."""
    make_table(landed, "snapshot")
    assert run(landed, ("land.manifest", "after", 2))["code"] == DIED
    s3.fail()
    assert run(another_machine(landed), None)["code"] == 0
    listed = {request.partition("prefix=land/ing/")[2] for request in s3.log() if "list-type" in request}
    assert any(prefix.startswith("loads/shop/t/") for prefix in listed)
    (load_id,) = {name.split("/")[3] for name in names(bucket)}
    assert not [prefix for prefix in listed if prefix.startswith(f"chunks/shop/t/{load_id}")]
    assert "chunks/" not in listed


def test_of_two_that_write_one_record_the_later_one_stops(bucket: Bucket, tmp_path: Path) -> None:
    """Both take themselves for the owner: the lease ran out while the first one wrote."""
    first, second = (Landing(tmp_path / name, shelf=BucketShelf(tmp_path / name, bucket)) for name in "ab")
    rows = pa.table({"id": [1, 2]})
    with first.open_load(SPEC, plan("L001")) as mine:
        mine.add_chunk(rows, "window", ("2",))
        mine.claim._lease._turn.acquire()  # type: ignore[attr-defined]
        time.sleep(LEASE_SECONDS)
        with second.reopen_load(SPEC) as taken:
            assert taken
            assert [chunk.number for chunk in taken.chunks] == [0]
            taken.add_chunk(rows.slice(1), "window", None)
            mine.claim._lease._renewed_at = time.monotonic()  # type: ignore[attr-defined]
            with pytest.raises(LoadConflict, match="went on with it"):
                mine.add_chunk(rows, "window", None)
            mine.claim._lease._turn.release()  # type: ignore[attr-defined]
    with first.reopen_load(SPEC) as after:
        assert after
        assert [chunk.rows for chunk in after.chunks] == [2, 1]
        assert after.read_chunk(after.chunks[1]).num_rows == 1
