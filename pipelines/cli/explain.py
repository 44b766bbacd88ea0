"""What every command shares: exit codes, and errors told as text."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from pipelines.errors import ConfigError, DaybreakError, PrerequisiteError

FAILED, MISCONFIGURED, HELD = 1, 2, 3

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@contextmanager
def explaining() -> Iterator[None]:
    """Turn our errors into their text and an exit code; anything else is a defect and keeps its traceback."""
    try:
        yield
    except (ConfigError, PrerequisiteError) as error:
        _complain(error)
        raise typer.Exit(MISCONFIGURED) from error
    except DaybreakError as error:
        _complain(error)
        raise typer.Exit(FAILED) from error


def name_person(given: str | None) -> str:
    """Return who decides something that goes on record: ``given``, else the account's name. Raises ``ConfigError`` if nobody is named."""
    who = (_login_name() if given is None else given).strip()
    if not who:
        raise ConfigError(["Nobody is named."], safe="Nothing was changed.", remedy="Say who decides this: --by NAME")
    return who


def _login_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # an account without a name, as in some containers
        return ""


def _complain(error: DaybreakError) -> None:
    typer.secho(str(error), fg=typer.colors.RED, err=True)
