"""What every command shares: exit codes, and errors told as text."""

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


def _complain(error: DaybreakError) -> None:
    typer.secho(str(error), fg=typer.colors.RED, err=True)
