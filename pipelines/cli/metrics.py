"""`daybreak metrics` on the command line: a thin face over ``pipelines.metrics``."""

from pathlib import Path
from typing import Annotated

import typer


def metrics(
    output: Annotated[
        Path | None, typer.Option(help="Write this file, whole or not at all, such as one of node_exporter's textfile collector.")
    ] = None,
) -> None:
    """Print numbers of every table for Prometheus: rows, age, held, quarantine, comparison, gaps, back-fills. Asks only the mirror."""
    from pipelines.cli.explain import explaining
    from pipelines.errors import ConfigError
    from pipelines.metrics import list_samples, make_registry, write_text
    from pipelines.settings import load_settings
    from pipelines.wiring import open_mirror

    with explaining():
        settings = load_settings()
        registry = make_registry(list_samples(settings, open_mirror(settings.state_url)))
        try:
            text = write_text(registry, output)
        except OSError as error:
            raise ConfigError(
                [f"--output {output}: {error.strerror or error}"],
                safe="The file, if there was one, is as it was.",
                remedy="Name a file in a folder that is there and may be written.",
            ) from error
    if output is None:
        typer.echo(text, nl=False)
