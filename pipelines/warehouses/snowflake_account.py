"""A Snowflake URL as an account that is signed in to, and the driver's errors as ours. No secret is in any text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from urllib.parse import parse_qsl, unquote, urlsplit

from pipelines.errors import ConfigError, LoadConflict, PrerequisiteError, WarehouseUnavailable

# What a person may put behind the `?` of the URL; all of it is the driver's own, and passed on.
OPTIONS = {
    *("warehouse", "role", "authenticator", "private_key_file", "private_key_file_pwd", "token", "token_file_path", "host", "port"),
    *("protocol", "login_timeout", "network_timeout", "oauth_client_id", "oauth_client_secret", "workload_identity_provider"),
}
NUMBERS = ("port", "login_timeout", "network_timeout")
UNAVAILABLE = {250001, 250003, 250005, 250006, 251001, 251005, 251009, 90073, 290400, 390114}
ENDED = {604, 630}  # a statement was cancelled, or took longer than the account or the warehouse allows
LOCKED = {625, 626, 628}
NOT_ASKED = {251006, 251007, 251017, 251020}  # the driver itself refuses what it was to sign in with


@dataclass(frozen=True)
class Account:
    """Where a warehouse is and who signs in, from its URL. Its secrets are in no text that anybody sees."""

    name: str
    database: str
    told: str
    options: Mapping[str, Any] = field(repr=False)


def read_url(url: str) -> Account:
    """Read ``snowflake://USER[:PASSWORD]@ACCOUNT/DATABASE?warehouse=…&role=…``. Raises ``ConfigError`` that names every mistake."""
    remedy = "Mend the URL; docs/snowflake.md shows one of each kind."
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may have a secret in it
        what = "DAYBREAK_WAREHOUSE_URL: it is no URL; write what is special in a user or a password as %40 (@), %5B ([), %E2%84%85 (℅)"
        raise ConfigError([what], safe="Nothing was read or written.", remedy=remedy) from None
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    database = unquote(parts.path.strip("/"))
    # What is no name is told by none: it may be a part of a password with a `?` or a `&` that was not escaped.
    unknown = {name if re.fullmatch("[a-z_]+", name) else "something behind the `?`" for name in given.keys() - OPTIONS}
    problems = [f"DAYBREAK_WAREHOUSE_URL: {name} is no option of a Snowflake URL" for name in sorted(unknown)]
    if not parts.hostname or not parts.username:
        problems.append("DAYBREAK_WAREHOUSE_URL: it names no user and account, as in snowflake://USER@ACCOUNT/DATABASE")
    if not database or "/" in database:
        problems.append("DAYBREAK_WAREHOUSE_URL: behind the account stands one name, the database; schemas are made by Daybreak")
    if not given.get("warehouse"):
        problems.append("DAYBREAK_WAREHOUSE_URL: it names no warehouse to compute with (?warehouse=NAME)")
    if ":" in parts.netloc.rpartition("@")[2]:
        problems.append("DAYBREAK_WAREHOUSE_URL: behind the account stands a port; a port of another host is told by ?host=…&port=…")
    problems += [f"DAYBREAK_WAREHOUSE_URL: {name} is empty" for name in sorted(given.keys() & OPTIONS) if not given[name]]
    numbers = [name for name in NUMBERS if given.get(name)]
    wrong = [name for name in numbers if not (given[name].isascii() and given[name].isdigit())]
    problems += [f"DAYBREAK_WAREHOUSE_URL: {name} is no whole number" for name in wrong]
    if problems:
        raise ConfigError(problems, safe="Nothing was read or written.", remedy=remedy)
    options: dict[str, Any] = {"account": _account(parts.netloc), "user": unquote(parts.username or ""), "database": database, **given}
    if parts.password:
        options["password"] = unquote(parts.password)
    options |= {name: int(given[name]) for name in numbers}
    return Account(options["account"], database, f"snowflake://{options['account']}/{database}", options)


def _account(netloc: str) -> str:
    return netloc.rpartition("@")[2].partition(":")[0]


def is_drivers(error: BaseException) -> bool:
    """Whether an error is the driver's own."""
    from snowflake.connector.errors import Error

    return isinstance(error, Error)


def translate(account: Account, error: Any) -> NoReturn:  # noqa: ANN401 - the driver is not imported for its name
    """Raise our error for the driver's."""
    from snowflake.connector import errors

    number, text = int(error.errno or 0), without_secrets(account, str(error.msg or error))
    if number in LOCKED:
        raise LoadConflict(f"Snowflake refused the transaction: {text}", safe="Nothing was committed.", remedy="Run again.") from None
    if number in ENDED:
        raise PrerequisiteError(
            [f"The warehouse {account.told} ended a statement: {text}"],
            safe="Nothing was committed.",
            remedy="Run again. If it takes too long: a larger warehouse, or more STATEMENT_TIMEOUT_IN_SECONDS; see docs/snowflake.md.",
        ) from None
    if number in UNAVAILABLE or (isinstance(error, (errors.OperationalError, errors.InterfaceError)) and not _is_kept_out(number)):
        what = f"the warehouse {account.told} did not answer: {text}"
        raise WarehouseUnavailable(what, safe="Nothing was committed.", remedy="Run again when it does.") from None
    if _is_kept_out(number):
        remedy = "Mend the user, the password or the key (DAYBREAK_WAREHOUSE_URL), or the role's privileges; see docs/snowflake.md."
        raise PrerequisiteError([f"{account.told} does not let Daybreak in: {text}"], safe="Nothing was written.", remedy=remedy) from None
    by_hand = "Grant what is missing (deploy/snowflake/setup.sql has it all); if the raw table was altered by hand, undo it."
    raise PrerequisiteError(
        [f"The warehouse {account.told} refused a statement: {text}"], safe="Nothing was committed.", remedy=by_hand
    ) from None


def is_refusal(error: BaseException) -> bool:
    """Whether Snowflake answered that it has not done what it was asked to."""
    from snowflake.connector.errors import ProgrammingError

    return isinstance(error, ProgrammingError) and error.errno not in ENDED


def _is_kept_out(number: int) -> bool:
    return (390100 <= number < 390400 and number != 390114) or number in NOT_ASKED


def without_secrets(account: Account, text: str) -> str:
    """Return a text on one line, without what the account is signed in to with."""
    for name in ("password", "private_key_file_pwd", "token", "oauth_client_secret"):
        if secret := account.options.get(name):
            text = text.replace(str(secret), "…")
    return re.sub(r"\s+", " ", text)
