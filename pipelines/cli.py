"""The ``daybreak`` command: a thin face over the functions of this package.

Exit codes: 0 all good · 1 failed · 2 usage or configuration · 3 finished, with something held.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines import cli_catalog, cli_doctor, cli_plan
from pipelines.cli_forget import forget
from pipelines.cli_quarantine import quarantine_app, release
from pipelines.cli_schema import catalog_app
from pipelines.errors import ConfigError, DaybreakError, PrerequisiteError
from pipelines.settings import Settings, load_settings, write_env_file

if TYPE_CHECKING:
    from pipelines.wiring import SyncRequest

FAILED, MISCONFIGURED, HELD = 1, 2, 3

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Your production database, in your warehouse, proven correct, before the morning.\n\n"
    "Exit codes: 0 all good, 1 failed, 2 usage or configuration, 3 finished with something held.",
)
shop_app = typer.Typer(no_args_is_help=True, help="A simulated shop with its own PostgreSQL, to try everything on.")
app.add_typer(shop_app, name="shop")
app.add_typer(catalog_app, name="catalog")
app.add_typer(quarantine_app, name="quarantine")
app.command()(cli_doctor.doctor)
for command in (cli_catalog.discover, cli_catalog.add, cli_catalog.preview, cli_plan.plan, release, forget):
    app.command()(command)

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


@app.command()
def run(as_json: AsJson = False) -> None:
    """Run the morning: sync every source, build what changed, publish what passed. Through Dagster."""
    from pipelines.cli_output import show_run, watching
    from pipelines.morning_run import run_morning

    with explaining():
        settings = load_settings()
        _require_a_source(settings)
        with watching(is_quiet=as_json):
            outcome = run_morning(settings)
    report = outcome.report
    if as_json:
        typer.echo(json.dumps(report or {"run_id": outcome.run_id, "failure": outcome.failure}, default=str))
    elif report:
        show_run(settings, report)
    if report is None:
        told = f"The run {outcome.run_id} failed: {outcome.failure}\nNothing that was committed is lost. What dbt printed: {outcome.log}"
        typer.secho(told, fg=typer.colors.RED, err=True)
        raise typer.Exit(FAILED)
    if report["problems"]:
        raise typer.Exit(HELD)
    if not outcome.is_green:
        raise typer.Exit(FAILED)


def _require_a_source(settings: Settings) -> None:
    """Say at once what is missing if no source can be read; one that is missing of several is held by the run."""
    missing = [source for source in settings.sources() if not settings.environment.get(source.url_env)]
    if len(missing) == len(settings.sources()):
        raise ConfigError(
            [f"Source `{source.name}`: {source.url_env} is not set." for source in missing],
            safe="Nothing was read or written.",
            remedy="Set it to your database (postgresql://user:password@host:5432/database), or try a simulated shop: daybreak shop start",
        )


@app.command()
def sync(
    source: Annotated[str, typer.Argument(help="The source's name in the catalog.")],
    tables: Annotated[list[str] | None, typer.Argument(help="Only these tables.")] = None,
    as_json: AsJson = False,
) -> None:
    """Bring tables of one source up to date with the engine alone, without Dagster."""
    from pipelines.cli_output import show_results, watching
    from pipelines.progress import Happening, tell
    from pipelines.retention import enforce_retention
    from pipelines.state.results import sum_counts
    from pipelines.wiring import open_mirror, sync_tables

    with explaining():
        settings = load_settings()
        request = _make_request(settings, source, tables or [])
        with watching(is_quiet=as_json):
            results = sync_tables(settings, request, lambda done: tell(Happening(done.table, done.outcome, is_over=True)))
        for unkept in enforce_retention(settings, open_mirror(settings.state_url)):
            typer.secho(unkept, fg=typer.colors.YELLOW, err=True)
    if as_json:
        rows = [{"table": r.table, "outcome": r.outcome, **sum_counts(r).__dict__, "held": r.held_reason, "note": r.note} for r in results]
        typer.echo(json.dumps(rows))
    else:
        show_results(results)
    if any(result.is_misconfigured for result in results):
        raise typer.Exit(MISCONFIGURED)
    if any(result.outcome == "held" for result in results):
        raise typer.Exit(HELD)


def _make_request(settings: Settings, source: str, tables: list[str]) -> "SyncRequest":
    """Return what to sync. Raises ``ConfigError`` for names that the catalog does not have, and for a missing URL."""
    from pipelines.progress import Happening, tell
    from pipelines.wiring import SyncRequest

    sources = {item.name: item for item in settings.sources()}
    if source not in sources:
        raise ConfigError([f"The catalog has no source `{source}`."], safe="Nothing was read.", remedy=f"Sources: {', '.join(sources)}.")
    found = {table.name: table for table in sources[source].tables}
    if unknown := [name for name in tables if name not in found]:
        raise ConfigError(
            [f"Source `{source}` has no table `{name}` in the catalog." for name in unknown],
            safe="Nothing was read.",
            remedy=f"Tables: {', '.join(found)}.",
        )
    settings.source_url(sources[source])
    chosen = tuple(found[name] for name in tables) or sources[source].tables
    return SyncRequest(sources[source], chosen, progress=lambda table, phase, rows: tell(Happening(table.id, phase, rows)))


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show each table: last load, data as of, rows, watermark, held and why, quarantined. Asks only the mirror, unless that was lost."""
    from pipelines.cli_output import show_status, status_rows
    from pipelines.state.attempts import add_attempts, tell_attempts
    from pipelines.wiring import open_mirror, rebuild_mirror

    with explaining():
        settings = load_settings()
        if missing := rebuild_mirror(settings):
            typer.secho(missing, fg=typer.colors.YELLOW, err=True)
        rows = add_attempts(open_mirror(settings.state_url), status_rows(settings))
    if as_json:
        typer.echo(json.dumps(rows, default=str))
    else:
        show_status(rows)
        for line in tell_attempts(rows):
            typer.secho(line, fg=typer.colors.YELLOW)


@app.command()
def ui(port: Annotated[int, typer.Option(help="The port on this machine.")] = 3000) -> None:
    """Open the Dagster UI on this project; Ctrl-C ends it."""
    from pipelines.morning_run import prepare_daemon

    with explaining():
        settings = load_settings()
        if advice := prepare_daemon(settings):
            typer.secho(advice, fg=typer.colors.YELLOW, err=True)
    dagster = Path(sys.executable).with_name("dagster")
    workspace = Path(__file__).parent.parent / "workspace.yaml"
    os.execv(dagster, [str(dagster), "dev", "--workspace", str(workspace), "--host", "127.0.0.1", "--port", str(port)])


def _shop_folder(settings: Settings) -> Path:
    return settings.home / "shop" / "postgres"


@shop_app.command("start")
def shop_start(
    seed: Annotated[int, typer.Option(help="The same seed gives the same shop.")] = 7,
    days: Annotated[int, typer.Option(help="Days of history.", min=1)] = 90,
) -> None:
    """Start the shop's PostgreSQL, with 90 days of history the first time, and point SHOP_DATABASE_URL at it."""
    if os.environ.get("SHOP_DATABASE_URL"):
        typer.echo("SHOP_DATABASE_URL is set, so that database is used and no shop is started.")
        return
    from pipelines.cli_output import spinning
    from pipelines.shop.server import start_shop_server
    from pipelines.shop.simulator import create_shop

    with explaining():
        settings = load_settings()
        if not any(source.url_env == "SHOP_DATABASE_URL" for source in settings.sources()):
            typer.echo(f"No source of {settings.catalog_folder} is read from SHOP_DATABASE_URL, so no shop is started.")
            return
        with spinning("Starting the shop's PostgreSQL"):
            url = start_shop_server(_shop_folder(settings))
        write_env_file(settings.home, {"SHOP_DATABASE_URL": url})
        if "DAYBREAK_TODAY" in settings.environment:
            typer.echo(f"The shop is open; it is {settings.local_today()} there.")
            return
        with spinning(f"Simulating {days} days of a shop"):
            made = create_shop(url, seed=seed, today=settings.local_today(), days=days)
    write_env_file(settings.home, {"DAYBREAK_TODAY": str(made.today)})
    typer.echo(f"The shop is open: {sum(made.inserted.values()):,} rows from {made.first_day} on; it is {made.today} there.")


@shop_app.command("advance")
def shop_advance(
    days: Annotated[int, typer.Option(help="How many days pass.", min=1)] = 1,
    bad_rows: Annotated[bool, typer.Option("--bad-rows", help="Also write what an application should not.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let days pass in the shop: inserts, updates, deletes and late events. The project's today moves along."""
    from pipelines.cli_output import show_shop_day, spinning
    from pipelines.shop.server import start_shop_server
    from pipelines.shop.simulator import advance_shop

    with explaining():
        settings = load_settings()
        if "DAYBREAK_TODAY" not in settings.environment:
            remedy = "Start it with `daybreak shop start`."
            raise ConfigError([f"There is no shop in {settings.home} yet."], safe="Nothing was changed.", remedy=remedy)
    with explaining(), spinning(f"{days} day{'s' if days > 1 else ''} pass in the shop"):
        url = start_shop_server(_shop_folder(settings))
        done = advance_shop(url, days=days, bad_rows=bad_rows)
    write_env_file(settings.home, {"SHOP_DATABASE_URL": url, "DAYBREAK_TODAY": str(done.today)})
    counts = {name: dict(getattr(done, name)) for name in ("inserted", "updated", "deleted", "bad_rows")}
    if as_json:
        typer.echo(json.dumps({"today": str(done.today), **counts}))
    else:
        show_shop_day(str(done.today), counts)


@shop_app.command("stop")
def shop_stop() -> None:
    """Stop the shop's PostgreSQL; its data stay."""
    from pipelines.shop.server import stop_shop_server

    with explaining():
        settings = load_settings()
    stop_shop_server(_shop_folder(settings))
    typer.echo("The shop is closed.")


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
