"""What the doctor makes of a server's facts, for servers that a test cannot have: standbys, poolers, clocks that are off."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipelines.doctor.finding import Finding
from pipelines.doctor.server_checks import check_server
from pipelines.sources.postgres_health import OpenTransaction, PoolerFacts, ServerFacts, SourceFacts
from pipelines.sync.spec import SourceSpec, TableSpec

SERVER = ServerFacts(
    version_number=160_004,
    version="16.4",
    database="shop",
    username="reader",
    is_local=False,
    is_encrypted=True,
    is_standby=False,
    now=datetime(2026, 3, 10, tzinfo=UTC),
    sees_starts=True,
    hides_activity=False,
    default_zone="UTC",
    statement_timeout_ms=0,
    idle_timeout_ms=0,
    transaction_timeout_ms=None,
    max_prepared=0,
    free_connections=90,
    free_of_role=None,
    free_of_database=None,
    hidden_views=None,
    knows_identity=True,
)
DIRECT = PoolerFacts(session_pids=(11, 11), other_pid=12, announced_pid=12)
FACTS = SourceFacts(SERVER, clock_ahead_seconds=0.1, clock_error_seconds=0.05, pooler=DIRECT)
INCREMENTAL = TableSpec("shop", "public", "orders", "incremental", ("id",), "updated_at")
SNAPSHOT = TableSpec("shop", "public", "products", "snapshot", ("id",))


def check(facts: SourceFacts, *tables: TableSpec) -> dict[str, Finding]:
    findings = check_server(SourceSpec("shop", "SHOP_URL", tables or (INCREMENTAL,)), facts)
    return {finding.subject: finding for finding in findings}


def check_with(**server: Any) -> dict[str, Finding]:
    return check(replace(FACTS, server=replace(SERVER, **server)))


def test_a_server_as_it_should_be_has_nothing_to_be_told() -> None:
    assert {finding.state for finding in check(FACTS).values()} == {"ok"}


def test_a_version_that_is_too_old_is_the_only_thing_said() -> None:
    (finding,) = check_with(version_number=110_022, version="11.22").values()
    assert (finding.state, "11.22" in finding.found) == ("problem", True)


def test_a_standby_is_a_problem_for_incremental_tables_as_it_hides_the_primarys_transactions() -> None:
    standby = replace(FACTS, server=replace(SERVER, is_standby=True))
    found = check(standby, INCREMENTAL, SNAPSHOT)
    assert found["role"].state == "problem"
    assert "orders" in found["role"].found
    assert "products" not in found["role"].found
    assert found["open transactions"].state == "note"
    assert check(standby, SNAPSHOT)["role"].state == "note"


@pytest.mark.parametrize(
    ("pooler", "state", "told"),
    [
        (PoolerFacts((11, 13), 12, 99), "problem", "different processes"),
        (PoolerFacts((11, 11), 11, 99), "problem", "one process"),
        (PoolerFacts((11, 11), 12, 99, keeps_settings=False), "problem", "was gone"),
        (PoolerFacts((11, 11), 12, 99), "warning", "in the server's place"),
        (PoolerFacts((11, 11)), "note", "could not tell"),
        (DIRECT, "ok", "the server itself"),
    ],
)
def test_a_pooler_is_told_by_process_numbers_and_by_settings_that_do_not_stay(pooler: PoolerFacts, state: str, told: str) -> None:
    finding = check(replace(FACTS, pooler=pooler))["pooler"]
    assert finding.state == state
    assert told in finding.found


def test_the_guarantee_for_open_transactions_is_named() -> None:
    assert check(FACTS)["open transactions"].found.startswith("exact")
    untracked = check_with(hides_activity=True)["open transactions"]
    assert untracked.state == "note"
    assert "track_activities is off" in untracked.found
    assert "GRANT" not in untracked.remedy
    finding = check_with(sees_starts=False, username='odd "name')["open transactions"]
    assert finding.state == "note"
    assert "virtual transaction ids" in finding.found
    assert 'GRANT pg_read_all_stats TO "odd ""name";' in finding.remedy


def test_system_views_that_are_hidden_are_a_problem() -> None:
    found = check_with(hidden_views="pg_locks", knows_identity=False)
    assert found["system views"].state == found["identity"].state == "problem"


@pytest.mark.parametrize(("ahead", "state"), [(4.9, "ok"), (-4.9, "ok"), (6, "warning"), (-3600, "warning"), (90_000, "problem")])
def test_a_clock_that_is_off_is_judged_by_how_much(ahead: float, state: str) -> None:
    assert check(replace(FACTS, clock_ahead_seconds=ahead))["clock"].state == state


def test_a_slow_way_to_the_source_is_not_taken_for_a_wrong_clock() -> None:
    assert check(replace(FACTS, clock_ahead_seconds=6, clock_error_seconds=3))["clock"].state == "ok"


def test_the_scarcest_limit_of_connections_counts() -> None:
    assert check_with(free_of_role=1)["connections"].state == "ok"  # and the one that asks
    finding = check_with(free_of_role=0, free_of_database=5)["connections"]
    assert finding.state == "warning"
    assert "the user's limit" in finding.found


def test_timeouts_that_end_a_chunk_are_warnings_and_longer_ones_are_not() -> None:
    found = check_with(statement_timeout_ms=30_000, idle_timeout_ms=5_000, transaction_timeout_ms=120_000)
    assert found["statement_timeout"].state == found["idle_in_transaction_session_timeout"].state == "warning"
    assert "30 s" in found["statement_timeout"].found
    assert "transaction_timeout" not in found


def test_plain_text_over_a_network_is_noted() -> None:
    assert check_with(is_encrypted=False)["encryption"].state == "note"
    assert check_with(is_encrypted=False, is_local=True)["encryption"].state == "ok"


def test_transactions_that_are_open_for_over_an_hour_are_named() -> None:
    long = (OpenTransaction("psql (pid 7, user ann, idle in transaction)", False, 7_300), OpenTransaction("`gid` of ann", True, 200_000))
    facts = replace(FACTS, open_transactions=(*long, OpenTransaction("app (pid 8, user app, active)", False, 3_000)))
    findings = [finding for finding in check_server(SourceSpec("shop", "SHOP_URL", ()), facts) if finding.subject == "open now"]
    assert [finding.state for finding in findings] == ["warning", "warning"]
    assert "pid 7" in findings[0].found
    assert "2 h" in findings[0].found
    assert "ROLLBACK PREPARED" in findings[1].remedy


def test_many_long_transactions_are_counted_and_not_listed() -> None:
    long = tuple(OpenTransaction(f"app (pid {n})", False, 9_000) for n in range(10))
    findings = check_server(SourceSpec("shop", "SHOP_URL", ()), replace(FACTS, open_transactions=long))
    told = [finding.found for finding in findings if finding.subject == "open now"]
    assert len(told) == 4
    assert told[-1].startswith("7 more")


def test_what_kept_the_tables_from_being_looked_at_is_a_problem() -> None:
    assert check(replace(FACTS, trouble="canceling statement due to lock timeout"))["tables"].state == "problem"
