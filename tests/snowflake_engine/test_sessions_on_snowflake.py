"""Sessions that are kept open: one that has ended is replaced, and nobody is told that a password is wrong."""

import pytest

from pipelines.warehouses import snowflake_access
from pipelines.warehouses.snowflake_access import Sessions


def ask_session(sessions: Sessions) -> str:
    with sessions.open("ask") as run:
        return str(run("select current_session()")[0][0])


def test_a_session_is_used_again(snowflake_url: str) -> None:
    sessions = Sessions(snowflake_url)
    assert ask_session(sessions) == ask_session(sessions)


def test_a_session_that_has_ended_is_replaced(snowflake_url: str) -> None:
    sessions = Sessions(snowflake_url)
    with sessions.open("ask") as run:
        first = str(run("select current_session()")[0][0])
    run.close()
    assert ask_session(sessions) != first


def test_a_session_that_was_idle_for_long_is_replaced(snowflake_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions(snowflake_url)
    first = ask_session(sessions)
    monkeypatch.setattr(snowflake_access, "IDLE_SECONDS", 0)
    assert ask_session(sessions) != first
