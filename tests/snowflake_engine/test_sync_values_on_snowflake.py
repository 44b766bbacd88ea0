"""Values on Snowflake: what its types hold arrives as it was, and what they do not hold steps aside."""

import json

import pytest

from tests.conftest import Project
from tests.integration.test_reconcile import reconcile
from tests.integration.test_sync_values import *  # noqa: F403
from tests.integration.test_sync_values import EXACT, KEY_VALUES, TYPES

BEYOND = {"date": {1, 2, 3}, "time": {3}, "timestamp": {1, 2, 3}, "timestamptz": {1, 2}}  # of the values of a type, by position


@pytest.fixture(autouse=True)
def no_years_before_christ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEY_VALUES, "date", "0044-03-15")


def test_every_type_arrives_as_the_text_of_the_source(project: Project) -> None:
    columns = ", ".join(f"c{n} {kind}" for n, kind in enumerate(EXACT))
    project.run(*TYPES, f"create table t (id int primary key, {columns}, doubled int generated always as (id * 2) stored)")
    beyond = set()
    for n, (kind, values) in enumerate(EXACT.items()):
        for position, value in enumerate(values):
            number = n * 100 + position + 1
            project.run(f"insert into t (id, c{n}) values ({number}, ({value})::{kind})")
            beyond |= {number} if position in BEYOND.get(kind, ()) else set()
    project.declare("t", "snapshot", key=["id"], max_quarantined=0.5)
    project.commit("t")
    assert {int(json.loads(row["key"])[0]) for row in project.quarantine("t")} == beyond
    assert {row["reason"] for row in project.quarantine("t")} == {"value does not fit the warehouse's type"}
    assert project.sync("t").outcome == "unchanged"
    compared = reconcile(project)
    assert (compared.outcome, compared.quarantined) == ("equal", len(beyond)), compared.differences
