"""L7 for the bucket: it is down, dies in the middle, denies: told in bounded time, nothing is lost, the next run completes."""

from collections.abc import Iterator

import pytest

from pipelines.doctor.examine import examine
from pipelines.errors import DaybreakError, LandingUnavailable, PrerequisiteError
from pipelines.landing.bucket import Bucket
from pipelines.sync.steps import set_hook
from pipelines.wiring import SyncRequest, sync_tables
from tests.conftest import Project
from tests.crash.conftest import Run
from tests.integration.command_line import daybreak
from tests.integration.examining import declare_healthy, find, grave, only
from tests.ports import find_free_port
from tests.s3.conftest import Server, another_machine, names
from tests.s3.test_other_machine import reads
from tests.s3.test_sync import make_table

pytestmark = pytest.mark.slow

DEAD = {"request": ".", "code": "dead"}
DENIED = {"request": ".", "code": "AccessDenied", "status": "403 Forbidden"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody waits between tries."""
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    yield
    set_hook(None)


def sync_or_error(project: Project) -> DaybreakError | None:
    try:
        project.sync("t")
    except DaybreakError as error:
        return error
    return None


@pytest.mark.parametrize(
    "step", ["land.manifest", "clean", *(pytest.param(step, marks=pytest.mark.slow) for step in ("plan", "land.upload", "gate"))]
)
@pytest.mark.parametrize("fault", [DEAD, pytest.param(DENIED, marks=pytest.mark.slow)], ids=["dies", "denies"])
def test_a_bucket_that_fails_at_a_step_is_told_and_another_machine_goes_on(
    landed: Project, s3: Server, run: Run, step: str, fault: dict[str, str]
) -> None:
    make_table(landed, "snapshot")
    seen: list[str] = []

    def fail(name: str, moment: str) -> None:
        seen.extend([name] if moment == "before" else [])
        if (name, moment) == (step, "before") and seen.count(step) == (2 if step.startswith("land.") else 1):
            s3.fail(fault)

    set_hook(fail)
    error = sync_or_error(landed)
    set_hook(None)
    # What is written after the commit is a mark that the load is committed, which the ledger knows anyhow.
    assert isinstance(error, LandingUnavailable if fault is DEAD else PrerequisiteError), error
    read = seen.count("read.chunk")
    s3.fail()
    again = run(another_machine(landed), None)
    assert again["code"] == 0
    landed.check("t")
    if step.startswith("land."):
        assert read + reads(again) == 3 + 1


def test_a_bucket_that_is_down_holds_the_tables_and_says_so_once(landed: Project, s3: Server) -> None:
    make_table(landed, "snapshot")
    landed.commit("t")
    landed.run("update t set name = 'new'")
    s3.fail(DEAD)
    source = landed.settings.sources()[0]
    (result,) = sync_tables(landed.settings, SyncRequest(source, source.tables))
    assert result.outcome == "held"
    assert "finished chunks are kept" in (result.held_reason or "")
    assert landed.ask("select distinct name from raw_shop.t") == [("old",)]
    s3.fail()
    landed.commit("t")


def test_a_port_where_nobody_listens_is_told_on_the_command_line(landed: Project) -> None:
    make_table(landed, "snapshot")
    landed.environment["DAYBREAK_LANDING_URL"] = f"s3://abc/p?endpoint_override=127.0.0.1:{find_free_port(26000)}&scheme=http"
    said = daybreak(landed, "sync", "shop")
    assert said.exit_code == 3
    assert said.tells("held", "s3://abc/p does not answer", "finished chunks are kept", "Run again later", "endpoint_override")


def test_a_bucket_that_is_not_there_is_told_on_the_command_line(landed: Project, s3: Server) -> None:
    make_table(landed, "snapshot")
    landed.environment["DAYBREAK_LANDING_URL"] = s3.url("nobodys")
    said = daybreak(landed, "sync", "shop")
    assert said.tells("s3://nobodys/land/ing does not exist", "Make the bucket")
    assert "s3cret" not in said.text


def test_the_doctor_finds_a_bucket_that_is_as_it_should_be(landed: Project, bucket: Bucket) -> None:
    declare_healthy(landed)
    assert "on condition too" in only(find(landed, "landing", "bucket"), "ok").found
    assert names(bucket) == []


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        pytest.param(DENIED, "does not allow it", marks=pytest.mark.slow),
        ({"request": "DELETE|delete", "code": "AccessDenied", "status": "403 Forbidden"}, "does not allow it"),
        ({"request": "PUT", "ignores": "HTTP_IF_NONE_MATCH"}, "If-None-Match is not honoured"),
        ({"request": "PUT", "ignores": "HTTP_IF_MATCH"}, "If-Match is not honoured"),
        pytest.param(
            {"request": "PUT", "code": "NotImplemented", "status": "501 Not Implemented"},
            "does not write on a condition",
            marks=pytest.mark.slow,
        ),
        pytest.param(DEAD, "does not answer", marks=pytest.mark.slow),
    ],
    ids=["denied", "delete denied", "If-None-Match", "If-Match", "not implemented", "dead"],
)
def test_the_doctor_finds_what_keeps_a_bucket_from_being_used(landed: Project, s3: Server, fault: dict[str, str], told: str) -> None:
    declare_healthy(landed)
    s3.fail(fault)
    wrong = [(finding.area, finding.found) for finding in examine(landed.settings.environment) if finding.state == "problem"]
    assert [area for area, _ in wrong] == ["landing"], wrong
    assert told in wrong[0][1]


def test_the_doctor_warns_of_a_bucket_that_keeps_what_is_deleted(landed: Project, bucket: Bucket) -> None:
    declare_healthy(landed)
    bucket._client.put_bucket_versioning(Bucket=bucket.address.bucket, VersioningConfiguration={"Status": "Enabled"})
    assert [subject for _, subject, _ in grave(find(landed, "landing"))] == ["versions"]
