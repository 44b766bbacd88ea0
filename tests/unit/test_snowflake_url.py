"""A Snowflake URL: every mistake is told at once, and its secrets are told to nobody."""

import pytest

from pipelines.errors import ConfigError, PrerequisiteError
from pipelines.warehouses.snowflake_access import Sessions
from pipelines.warehouses.snowflake_account import read_url, translate

URL = "snowflake://loader:p%40ss@my-account/ANALYTICS?warehouse=LOADING&role=DAYBREAK_RUN"


def test_what_a_url_says_is_passed_on_to_the_driver() -> None:
    account = read_url(f"{URL}&authenticator=oauth&token=abc&login_timeout=5")
    assert account.options == {
        "account": "my-account",
        "user": "loader",
        "password": "p@ss",
        "database": "ANALYTICS",
        "warehouse": "LOADING",
        "role": "DAYBREAK_RUN",
        "authenticator": "oauth",
        "token": "abc",
        "login_timeout": 5,
    }


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("snowflake://account/DB?warehouse=W", "names no user and account"),
        ("snowflake://me@account?warehouse=W", "one name, the database"),
        ("snowflake://me@account/DB/SCHEMA?warehouse=W", "one name, the database"),
        ("snowflake://me@account/DB", "no warehouse to compute with"),
        ("snowflake://me@account/DB?warehouse=W&wharehouse=X", "wharehouse is no option"),
        ("snowflake://me@account/DB?warehouse=W&port=x", "port is no whole number"),
        ("snowflake://me@account/DB?warehouse=W&port=²", "port is no whole number"),
        ("snowflake://me@account/DB?warehouse=W&role=", "role is empty"),
        ("snowflake://me@account/DB?warehouse=W&what", "what is no option"),
        ("snowflake://me@account:443/DB?warehouse=W", "behind the account stands a port"),
        ("snowflake://me@[account/DB?warehouse=W", "it is no URL"),
    ],
)
def test_mistakes_are_told(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        read_url(url)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        read_url("snowflake://account?warehose=W&port=x")
    assert len(error.value.problems) == 5


@pytest.mark.parametrize("password", ["pa?ss&secret", "secret℅", "[secret"])
def test_a_password_that_was_not_escaped_is_not_told(password: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_url(f"snowflake://me:{password}@account/DB?warehouse=W")
    assert "secret" not in str(error.value)


@pytest.mark.parametrize("number", [604, 630])
def test_a_statement_that_took_too_long_is_not_taken_for_a_warehouse_that_is_away(number: int) -> None:
    from snowflake.connector.errors import ProgrammingError

    with pytest.raises(PrerequisiteError, match="ended a statement"):
        translate(read_url(URL), ProgrammingError("SQL execution canceled", errno=number))


def test_secrets_are_in_no_text() -> None:
    from snowflake.connector.errors import ProgrammingError

    account = read_url(f"{URL}&token=tokentoken")
    assert "p@ss" not in f"{account!r}{account.told}"
    with pytest.raises(PrerequisiteError) as error:
        translate(account, ProgrammingError("it said p@ss, and tokentoken", errno=1003))
    assert "p@ss" not in str(error.value)
    assert "tokentoken" not in str(error.value)


def test_a_key_that_is_not_there_is_told(tmp_path: object) -> None:
    sessions = Sessions("snowflake://me@account/DB?warehouse=W&authenticator=SNOWFLAKE_JWT&private_key_file=/nowhere/key.p8")
    with pytest.raises(PrerequisiteError, match="private_key_file"), sessions.open("look"):
        pass
