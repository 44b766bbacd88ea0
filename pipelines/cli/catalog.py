"""`daybreak discover`, `add`, `generate` and `preview` on the command line: thin faces over ``pipelines.discovery``."""

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.errors import ConfigError, PrerequisiteError

if TYPE_CHECKING:
    from pipelines.discovery.write import CatalogHead
    from pipelines.settings import Settings

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")  # what the catalog takes for `url_env`


def discover(  # noqa: PLR0913, PLR0917 - one per option
    url: Annotated[str, typer.Argument(help="postgresql://user:password@host/database, or the variable that holds it.")],
    schema: Annotated[str, typer.Option(help="The schema to look at.")] = "public",
    source: Annotated[str | None, typer.Option(help="The source's name; the database's if not given.")] = None,
    url_env: Annotated[str | None, typer.Option(help="The variable in which runs find the URL.")] = None,
    mask: Annotated[bool, typer.Option("--mask", help="Turn on the masks that are suggested.")] = False,
    output: Annotated[Path | None, typer.Option(help="Write to this new file instead of the terminal.")] = None,
) -> None:
    """Print a catalog file for a whole PostgreSQL database, each guess with its reason. Reads no table."""
    from pipelines.cli.explain import explaining
    from pipelines.discovery.guess import guess_catalog
    from pipelines.discovery.write import write_catalog
    from pipelines.settings import load_settings
    from pipelines.sources.postgres_survey import survey_database

    with explaining():
        settings = load_settings()
        address, variable = _find_url(settings, url)
        survey = survey_database(source or "discover", address, schema, settings.time_zone)
        head = _make_head(survey.database, schema, source, url_env or variable)
        text = write_catalog(head, guess_catalog(survey, masks_personal=mask))
        if output:
            _write_new(output, text)
    if not output:
        typer.echo(text, nl=False)
    elif settings.environment.get(head.url_env) != address:
        typer.echo(f"{output} is written. Set {head.url_env} to the URL, then: daybreak sync {head.source}")
    else:
        typer.echo(f"{output} is written. Next: daybreak sync {head.source}")


def _find_url(settings: "Settings", given: str) -> tuple[str, str | None]:
    """Return the URL, and the variable it came from. What is neither is not repeated: it may hold a password."""
    if "://" in given:
        return given, None
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", given):
        raise ConfigError(
            ["That is neither a URL nor the name of an environment variable."],
            safe="Nothing was read.",
            remedy="Give a URL such as postgresql://user:password@host:5432/database, or the variable that holds it.",
        )
    if found := settings.environment.get(given):
        return found, given if _VARIABLE.fullmatch(given) else None
    raise ConfigError([f"{given} is not set."], safe="Nothing was read.", remedy="Set it to the database's URL, or give the URL itself.")


def _make_head(database: str, schema: str, source: str | None, url_env: str | None) -> "CatalogHead":
    from pipelines.catalog.models import SOURCE_NAME
    from pipelines.discovery.write import CatalogHead
    from pipelines.names import make_source_name, make_url_variable

    problems = []
    if source and not re.fullmatch(SOURCE_NAME, source):
        problems.append(f"--source {source!r}: letters in lower case, digits and _, a letter first, 63 at most")
    if url_env and not _VARIABLE.fullmatch(url_env):
        problems.append(f"--url-env {url_env!r}: capital letters, digits and _, a letter first")
    if problems:
        raise ConfigError(problems, safe="Nothing was written.", remedy="Choose another name.")
    name = source or make_source_name(database)
    return CatalogHead(name, url_env or make_url_variable(name), schema, database)


def _write_new(file: Path, text: str) -> None:
    try:
        with file.open("x", encoding="utf-8", newline="") as out:
            out.write(text)
    except FileExistsError as error:
        raise ConfigError([f"{file} exists already."], safe="It was not changed.", remedy="Choose another file.") from error
    except OSError as error:
        raise PrerequisiteError([f"{file}: {error.strerror}."], safe="Nothing was written.", remedy="Choose another file.") from error


def add(
    source: Annotated[str, typer.Argument(help="The source's name in the catalog.")],
    tables: Annotated[list[str] | None, typer.Argument(help="The tables as the source names them.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every table that the catalog has.")] = False,
    mask: Annotated[bool, typer.Option("--mask", help="Turn on the masks that are suggested for new entries.")] = False,
) -> None:
    """Add tables: the entry in the catalog, the dbt staging model, and its YAML. Only what is missing is written."""
    from pipelines.cli.explain import explaining
    from pipelines.discovery.add import AddRequest, plan_addition
    from pipelines.discovery.files import write_files
    from pipelines.settings import load_settings

    with explaining():
        if bool(tables) == everything:
            raise ConfigError(["Name the tables, or give --all; one of both."], safe="Nothing was written.", remedy="daybreak add --help")
        settings = load_settings()
        edit = plan_addition(settings, AddRequest(source, tuple(tables or ()), mask))
        standing = {file for file in edit.texts if file.exists()}
        write_files(edit)
    if not edit.texts:
        typer.echo("Everything is there already; nothing was written.")
        return
    for file in edit.texts:
        typer.echo(f"{'added to' if file in standing else 'new':<9}{_near(file)}")
    named = "".join(f" {shlex.quote(table)}" for table in tables or ())
    typer.echo(f"Next: daybreak sync {source}{named}   (or `daybreak run`, which builds the models too)")


def generate(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    tables: Annotated[list[str] | None, typer.Argument(help="Only these tables.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing, and end with 3 if something would change.")] = False,
) -> None:
    """Write staging models and their YAML anew where the source's columns changed. What people wrote stays."""
    from pipelines.cli.explain import HELD, explaining
    from pipelines.discovery.files import write_files
    from pipelines.discovery.generate import Generation, plan_generation
    from pipelines.settings import load_settings

    with explaining():
        settings, generation = load_settings(), Generation()
        for name in [source] if source else [found.name for found in settings.sources()]:
            plan_generation(settings, *settings.tables(name, tables or []), generation)
        standing = {file for file in generation.edit.texts if file.exists()}
        if not check:
            write_files(generation.edit)
    for file in generation.edit.texts:
        typer.echo(f"{'would be ' if check else ''}{'changed' if file in standing else 'new':<9}{_near(file)}")
    for model, table in generation.left_alone.items():
        _tell_left_alone(Path(model), table)
    for model in generation.unfiltered:
        told = f"{_near(Path(model))} shows rows that are gone from the source, which its raw table keeps."
        typer.secho(f"{told} To leave them out, put `where _deleted_at is null` behind its `from`.", fg=typer.colors.YELLOW)
    if not generation.edit.texts:
        typer.echo("Every model with a region is as the source's columns are; nothing was written.")
    elif check:
        raise typer.Exit(HELD)


def _tell_left_alone(model: Path, table: str) -> None:
    from pipelines.discovery.region import write_marker

    told = f"{_near(model)} has no region and was left alone. To have its columns written, put these around them:"
    typer.secho(f"{told}\n        {write_marker(table)}\n        -- daybreak: end", fg=typer.colors.YELLOW)


def _near(file: Path) -> str:
    """Return the path from here where the file is under here."""
    return str(file.relative_to(Path.cwd())) if file.is_relative_to(Path.cwd()) else str(file)


def preview(
    source: Annotated[str, typer.Argument(help="The source's name in the catalog.")],
    table: Annotated[str, typer.Argument(help="The table's name in the catalog.")],
    rows: Annotated[int, typer.Option(help="How many rows to read.", min=1, max=10_000)] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Show a table's types, its first rows after masks, and what the gates would say of them. Writes nothing."""
    from pipelines.cli.explain import explaining
    from pipelines.cli.output import spinning
    from pipelines.discovery.preview import preview_table
    from pipelines.settings import load_settings

    with explaining(), spinning(f"Reading the first rows of {source}.{table}"):
        settings = load_settings()
        found_source, (spec,) = settings.tables(source, [table])
        found = preview_table(settings, found_source, spec, rows)
    if as_json:
        typer.echo(json.dumps(asdict(found), ensure_ascii=False))
        return
    from pipelines.cli.preview import show_preview

    show_preview(found)
