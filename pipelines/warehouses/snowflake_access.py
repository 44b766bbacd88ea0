"""Sessions on Snowflake: a few that are kept open while a process works."""

import os
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from pipelines.errors import PrerequisiteError, WarehouseUnavailable
from pipelines.warehouses.snowflake_account import is_drivers, read_url, translate, without_secrets
from pipelines.warehouses.snowflake_run import SnowflakeRun

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection

LOCK_TIMEOUT_SECONDS = 600  # by default a statement waits half a day for another one's lock
# The driver cancels a statement that takes longer, so it is longer than the hour that setup.sql has a warehouse allow.
NETWORK_TIMEOUT_SECONDS = 3900
IDLE_SECONDS = 1800  # Snowflake ends a session after four hours in which nothing was asked


@lru_cache(maxsize=8)
def open_sessions(url: str) -> "Sessions":
    """Return this process's sessions behind ``url``, which all threads share: to sign in takes a second."""
    return Sessions(url)


class Sessions:
    """A few sessions that are kept open while a project works; each is one person's at a time."""

    def __init__(self, url: str) -> None:
        """Read the URL; nobody signs in before the first question."""
        self.account = read_url(url)
        self._idle: list[tuple[float, SnowflakeRun]] = []
        self._lock = Lock()

    @contextmanager
    def open(self, purpose: str) -> Iterator[SnowflakeRun]:
        """Yield a session whose statements say what they are for. After an error it is not used again: nobody knows what is open in it."""
        run = self._take_idle()
        try:
            if run and not _begins(run, purpose):
                run = None
            if run is None:
                run = SnowflakeRun(self._sign_in())
                run.begin(purpose)
            yield run
        except BaseException as error:
            if run:
                with suppress(Exception):
                    run.close()
            if is_drivers(error):
                translate(self.account, error)
            raise
        with self._lock:
            self._idle.append((time.monotonic(), run))

    def _take_idle(self) -> SnowflakeRun | None:
        """Return the session that was used last; one that was idle for long is ended, as Snowflake may have done, without the lock."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                since, run = self._idle.pop()
            if time.monotonic() - since < IDLE_SECONDS:
                return run
            with suppress(Exception):
                run.close()

    def _sign_in(self) -> "SnowflakeConnection":
        try:
            return self._connect()
        except (FileNotFoundError, IsADirectoryError, PermissionError, ValueError, TypeError) as error:  # of a key or a token
            raise PrerequisiteError(
                [f"{self.account.told}: what Daybreak is to sign in with cannot be read: {without_secrets(self.account, str(error))}"],
                safe="Nothing was read or written.",
                remedy="Mend private_key_file, private_key_file_pwd or token_file_path of DAYBREAK_WAREHOUSE_URL.",
            ) from None
        except OSError as error:
            what = f"the warehouse {self.account.told} did not answer: {without_secrets(self.account, str(error))}"
            raise WarehouseUnavailable(what, safe="Nothing was committed.", remedy="Run again when it does.") from None

    def _connect(self) -> "SnowflakeConnection":
        # Else the driver asks the metadata services of three clouds where it runs, for seconds, at each sign-in.
        os.environ.setdefault("SNOWFLAKE_DISABLE_PLATFORM_DETECTION", "true")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own copy of requests wonders at a newer urllib3
            from snowflake.connector import connect

        parameters = {
            "QUERY_TAG": "daybreak",
            "TIMEZONE": "UTC",
            "LOCK_TIMEOUT": LOCK_TIMEOUT_SECONDS,
            # What the statements take for granted, whatever the account has.
            "BINARY_OUTPUT_FORMAT": "HEX",
            "DATE_INPUT_FORMAT": "AUTO",
            "DATE_OUTPUT_FORMAT": "YYYY-MM-DD",
            "TIMESTAMP_INPUT_FORMAT": "AUTO",
            "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
            "ABORT_DETACHED_QUERY": True,  # what nobody waits for any more must not commit later
        }
        # Values are bound by the server: in the text of a statement they would stand in the account's query history for a year.
        defaults = {"login_timeout": 60, "network_timeout": NETWORK_TIMEOUT_SECONDS, "session_parameters": parameters, "autocommit": True}
        return connect(**{**defaults, **self.account.options}, application="Daybreak", paramstyle="qmark")


def _begins(run: SnowflakeRun, purpose: str) -> bool:
    """Whether a session that was kept open can still be used: it may have ended over there, or been ended."""
    try:
        run.begin(purpose)
    except Exception as error:
        with suppress(Exception):
            run.close()
        if is_drivers(error):
            return False
        raise
    return True
