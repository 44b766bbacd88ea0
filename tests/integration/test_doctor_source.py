"""The doctor on a real PostgreSQL: what it finds is what a sync would meet, and its remedies cure it."""

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from pipelines.doctor.examine import examine
from pipelines.errors import PrerequisiteError, SourceUnavailable
from pipelines.sources.postgres_health import fetch_facts
from tests.conftest import Project
from tests.integration.examining import declare_healthy, find, grave, only, user_of


@pytest.fixture
def table(project: Project) -> Project:
    return declare_healthy(project)


@pytest.fixture
def reader(project: Project) -> Iterator[Project]:
    """The project of a user who may log in and has no privilege yet; ``project`` stays the owner's."""
    name = "doctor_" + project.url.partition("@/")[2].partition("?")[0]
    project.run(f"create role {name} login password 'secret'")
    yield replace(project, url=project.url.replace("postgres:@", f"{name}:secret@"), tables=[])
    project.run(f"drop owned by {name}", f"drop role {name}")


def test_each_missing_privilege_is_told_and_its_remedy_cures_it(table: Project, reader: Project) -> None:
    reader.environment, reader.tables = table.environment, table.tables
    user = user_of(reader)
    table.run(f"grant select (id, at) on t to {user}")
    finding = only(find(reader, subject="t"), "problem")
    assert "`name`" in finding.found
    with pytest.raises(PrerequisiteError):
        reader.sync("t")
    table.run(finding.remedy.partition(";")[0])
    assert only(find(reader, subject="t"), "ok")
    assert reader.sync("t").outcome == "committed"
    table.run(f"revoke all on t from {user}")
    finding = only(find(reader, subject="t"), "problem")
    assert finding.found == "no SELECT on it"
    table.run(finding.remedy)
    assert only(find(reader, subject="t"), "ok")


def test_a_column_that_is_dropped_by_its_mask_needs_no_privilege(table: Project, reader: Project) -> None:
    reader.environment = table.environment
    table.run(f"grant select (id, at) on t to {user_of(reader)}")
    reader.declare("t", "incremental", key=["id"], cursor="at", columns={"name": {"mask": "drop"}})
    assert grave(find(reader, subject="t")) == []
    assert reader.sync("t").outcome == "committed"


def test_a_schema_that_may_not_be_entered_or_is_not_there_is_told(project: Project, reader: Project) -> None:
    reader.declare("t", "snapshot", key=["id"])
    project.run("drop schema public")
    assert "no schema" in only(find(reader, subject="t"), "problem").found
    project.run("create schema public", "create table t (id int primary key)", f"grant select on t to {user_of(reader)}")
    finding = only(find(reader, subject="t"), "problem")
    assert "USAGE" in finding.found
    project.run(finding.remedy)
    assert grave(find(reader, subject="t")) == []


@pytest.mark.parametrize("policy", ["", "create policy every_row on t using (true)"])
def test_row_level_security_that_would_stop_the_sync_is_a_problem(table: Project, reader: Project, policy: str) -> None:
    reader.environment, reader.tables, user = table.environment, table.tables, user_of(reader)
    table.run(f"grant select on t to {user}", "alter table t enable row level security", policy or "select 1")
    assert grave(find(table, subject="t")) == []  # its owner is not held to it
    finding = only(find(reader, subject="t"), "problem")
    with pytest.raises((PrerequisiteError, SourceUnavailable), match="row-level security"):
        reader.sync("t")
    table.run(finding.remedy.partition(";")[0])
    assert grave(find(reader, subject="t")) == []
    assert reader.sync("t").outcome == "committed"


def test_the_guarantee_for_open_transactions_follows_from_the_users_roles(table: Project, reader: Project) -> None:
    reader.environment, reader.tables, user = table.environment, table.tables, user_of(reader)
    table.run(f"grant select on t to {user}")
    assert find(table, subject="open transactions")[0].found.startswith("exact")
    finding = only(find(reader, subject="open transactions"), "note")
    table.run(finding.remedy.partition(": ")[2])
    assert only(find(reader, subject="open transactions"), "ok").found.startswith("exact")


def test_a_role_or_a_session_that_hides_its_transactions_is_seen(table: Project) -> None:
    user = user_of(table)
    table.run(f"alter role {user} set track_activities = off")
    assert "track_activities" in only(find(table, subject="open transactions"), "note").found
    table.run(f"alter role {user} reset track_activities")
    with psycopg.connect(table.url, options="-c track_activities=off") as session:
        session.execute("select 1")
        assert "track_activities" in only(find(table, subject="open transactions"), "note").found


def test_limits_of_the_user_are_seen(table: Project, reader: Project) -> None:
    reader.environment, reader.tables, user = table.environment, table.tables, user_of(reader)
    table.run(f"alter role {user} connection limit 1", f"alter role {user} set statement_timeout = '5s'")
    found = {finding.subject: finding.state for finding in find(reader)}
    assert found["connections"] == found["statement_timeout"] == "warning"
    assert found["pooler"] == "note"  # which needs a second connection


def test_open_and_prepared_transactions_are_seen_with_their_age(table: Project) -> None:
    (source,) = table.settings.sources()
    with psycopg.connect(table.url, application_name="report tool") as session:
        session.execute("select 1")
        pid = session.info.backend_pid
        with psycopg.connect(table.url) as other:
            other.execute("insert into t values (100, 'A')")
            other.execute("prepare transaction 'forgotten'")
        found = {transaction.name: transaction for transaction in fetch_facts(source, table.url).open_transactions}
    with psycopg.connect(table.url, autocommit=True) as connection:
        connection.execute("rollback prepared 'forgotten'")
    (tool,) = [name for name in found if name.startswith("report tool")]
    assert f"pid {pid}," in tool
    assert found["`forgotten` of postgres"].is_prepared
    assert all(transaction.seconds > 0 for transaction in found.values())


def test_a_table_that_somebody_alters_is_named_with_its_holder_and_not_waited_for(table: Project) -> None:
    table.run("create table other (id int primary key)")
    table.declare("other", "snapshot", key=["id"])
    with psycopg.connect(table.url) as session:
        session.execute("alter table t add column more text")
        findings = find(table)
        (finding,) = [finding for finding in findings if finding.subject == "t"]
        assert f"pid {session.info.backend_pid} " in finding.found
        assert "ok" in [finding.state for finding in findings if finding.subject == "other"]
        session.rollback()


def test_a_source_that_does_not_answer_keeps_no_other_check_from_being_made(table: Project) -> None:
    table.commit("t")
    environment = {**table.settings.environment, "SOURCE_URL": "postgresql://me:s3cret@127.0.0.1:1/shop"}
    findings = examine(environment)
    assert "did not answer" in only([finding for finding in findings if finding.area == "source shop"], "problem").found
    assert {"warehouse", "landing", "mirror", "dbt", "dagster", "versions"} <= {finding.area for finding in findings}
    assert "s3cret" not in str(findings)


@pytest.mark.parametrize(
    ("url", "told"), [("mysql://me:s3cret@host/x", "scheme is mysql"), ("postgresql://me:s3c@ret@host/x", "more than one @")]
)
def test_a_url_that_no_sync_would_take_is_a_problem(table: Project, url: str, told: str) -> None:
    findings = examine({**table.settings.environment, "SOURCE_URL": url})
    assert told in only([finding for finding in findings if finding.area == "source shop"], "problem").found
    assert "s3c" not in str(findings)
