"""The ``daybreak`` command: a thin face over the functions of this package.

Exit codes: 0 all good · 1 failed · 2 usage or configuration · 3 finished, with something held ·
4 a change of the source breaks something (plan, apply).
"""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.backfill import backfill, gaps
from pipelines.cli.catalog import add, discover, generate, preview
from pipelines.cli.doctor import doctor
from pipelines.cli.explain import FAILED, HELD, MISCONFIGURED, AsJson, explaining
from pipelines.cli.forget import forget
from pipelines.cli.metrics import metrics
from pipelines.cli.plan import apply, plan
from pipelines.cli.quarantine import quarantine_app, release
from pipelines.cli.reconcile import reconcile
from pipelines.cli.schema import catalog_app
from pipelines.cli.shop import shop_app
from pipelines.errors import ConfigError
from pipelines.settings import PROJECT, Settings, load_settings

if TYPE_CHECKING:
    from pipelines.wiring import SyncRequest

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Your production database, in your warehouse, proven correct, before the morning.\n\n"
    "Exit codes: 0 all good, 1 failed, 2 usage or configuration, 3 finished with something held, "
    "4 a change of the source breaks something (plan, apply).",
)
app.add_typer(shop_app, name="shop")
app.add_typer(catalog_app, name="catalog")
app.add_typer(quarantine_app, name="quarantine")
for command in (doctor, discover, add, generate, preview, plan, apply, reconcile, gaps, backfill, metrics, release, forget):
    app.command()(command)


@app.command()
def run(as_json: AsJson = False) -> None:
    """Run the morning: sync every source, build what changed, publish what passed. Through Dagster."""
    from pipelines.cli.output import show_run, watching
    from pipelines.runs.morning import run_morning

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
    from pipelines.cli.output import show_results, watching
    from pipelines.retention import enforce_retention
    from pipelines.runs.progress import Happening, tell
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
    from pipelines.runs.progress import Happening, tell
    from pipelines.wiring import SyncRequest

    found, chosen = settings.tables(source, tables)
    settings.source_url(found)
    return SyncRequest(found, chosen, progress=lambda table, phase, rows: tell(Happening(table.id, phase, rows)))


@app.command()
def status(
    as_json: AsJson = False,
    cost: Annotated[bool, typer.Option("--cost", help="What loads cost the warehouse: the last one, and those of a week.")] = False,
) -> None:
    """Show each table: last load, data as of, rows, watermark, held and why, quarantined. Asks only the mirror, unless that was lost."""
    from pipelines.cli.cost import cost_rows, show_cost
    from pipelines.cli.output import show_status, status_rows
    from pipelines.state.attempts import add_attempts, tell_attempts
    from pipelines.state.backfills import unfinished_backfills
    from pipelines.wiring import open_mirror, rebuild_mirror

    with explaining():
        settings = load_settings()
        if missing := rebuild_mirror(settings):
            typer.secho(missing, fg=typer.colors.YELLOW, err=True)
        mirror = open_mirror(settings.state_url)
        rows = cost_rows(settings, mirror) if cost else add_attempts(mirror, status_rows(settings))
    if as_json:
        typer.echo(json.dumps(rows, default=str))
    elif cost:
        show_cost(rows)
    else:
        show_status(rows)
        for line in [*tell_attempts(rows), *map(str, unfinished_backfills(mirror))]:
            typer.secho(line, fg=typer.colors.YELLOW)


@app.command()
def ui(port: Annotated[int, typer.Option(help="The port on this machine.")] = 3000) -> None:
    """Open the Dagster UI on this project; Ctrl-C ends it."""
    from pipelines.runs.morning import prepare_daemon

    with explaining():
        settings = load_settings()
        if advice := prepare_daemon(settings):
            typer.secho(advice, fg=typer.colors.YELLOW, err=True)
    dagster = Path(sys.executable).with_name("dagster")
    workspace = PROJECT / "workspace.yaml"
    os.execv(dagster, [str(dagster), "dev", "--workspace", str(workspace), "--host", "127.0.0.1", "--port", str(port)])


def main() -> None:
    """Run the command line."""
    app()


if __name__ == "__main__":
    main()
