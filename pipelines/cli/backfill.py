"""`daybreak gaps` and `daybreak backfill` on the command line: thin faces over ``pipelines.gaps`` and the engine."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.explain import HELD, MISCONFIGURED, AsJson, explaining, name_person

if TYPE_CHECKING:
    from pipelines.settings import Settings
    from pipelines.state.backfills import Backfill
    from pipelines.sync.gaps import Gap
    from pipelines.sync.model import TableResult
    from pipelines.wiring import SyncRequest


def gaps(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what should be in the warehouse and is not, and the command that mends it. Asks only the mirror, unless that was lost.

    Ends with 0 if nothing is missing, and with 3 if something is.
    """
    from pipelines.gaps import list_gaps
    from pipelines.settings import load_settings
    from pipelines.wiring import open_mirror, rebuild_mirror

    with explaining():
        settings = load_settings()
        if missing := rebuild_mirror(settings):
            typer.secho(missing, fg=typer.colors.YELLOW, err=True)
        found = list_gaps(settings, open_mirror(settings.state_url), source, table)
    if as_json:
        typer.echo(json.dumps([_as_plain(gap) for gap in found]))
    else:
        _show(found)
    if found:
        raise typer.Exit(HELD)


def _as_plain(gap: "Gap") -> dict[str, Any]:
    return {**{name: getattr(gap, name) for name in ("table", "kind", "told", "remedy", "held")}, "days": [str(day) for day in gap.days]}


def _show(found: "Sequence[Gap]") -> None:
    if not found:
        typer.secho("Nothing is missing.", fg=typer.colors.GREEN)
    for gap in found:
        typer.secho(f"{gap.table}: {gap.told}", fg=typer.colors.YELLOW)
        if gap.held:
            typer.echo(f"  it waits for a person: {gap.held}")
        typer.echo(f"  {gap.remedy}")


def backfill(  # noqa: PLR0913, PLR0917 - one per option
    source: Annotated[str, typer.Argument(help="The source's name in the catalog.")],
    table: Annotated[str, typer.Argument(help="A partitioned table.")],
    start: Annotated[datetime, typer.Argument(help="The first day, such as 2026-01-01.", formats=["%Y-%m-%d"])],
    end: Annotated[datetime, typer.Argument(help="The last day.", formats=["%Y-%m-%d"])],
    is_anew: Annotated[
        bool, typer.Option("--restart", help="Begin with the first day, also if an attempt before this one got further.")
    ] = False,
    is_allowed: Annotated[bool, typer.Option("--allow-mass-delete", help="Let more rows go than `max_deletes`, on the record.")] = False,
    by: Annotated[str | None, typer.Option("--by", help="Who allows that; the login name if not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Load days of a table again, gently: it slows down when the source is busy, and waits for live syncs of the table.

    If it is ended, the same command goes on where it was. Models follow with the next run, or at once if the sensor
    `backfill_gaps` is on. Ends with 3 if days are left.
    """
    from pipelines.cli.output import show_results, watching
    from pipelines.delivery.completeness_data import refresh_completeness
    from pipelines.settings import load_settings
    from pipelines.state.results import sum_counts
    from pipelines.wiring import ignore_backfill, sync_tables

    with explaining():
        settings = load_settings()
        request = _make_request(settings, source, table, (start.date(), end.date()))
        request = replace(request, is_anew=is_anew, watch=ignore_backfill if as_json else _tell, lets_vanish=is_allowed)
        if is_allowed:
            request = replace(request, reason=f"{request.reason}; {name_person(by)} lets more rows go than max_deletes")
        with watching(is_quiet=as_json):
            (result,) = sync_tables(settings, request)
        refresh_completeness(settings)
    if as_json:
        told = {"table": result.table, "outcome": result.outcome, "held": result.held_reason, "unfinished": result.unfinished}
        typer.echo(json.dumps({**told, **sum_counts(result).__dict__, "note": result.note}))
    else:
        show_results([result])
        if result.unfinished:
            typer.secho(result.unfinished, fg=typer.colors.YELLOW)
    _exit(result)


def _make_request(settings: "Settings", source: str, table: str, asked: "tuple[date, date]") -> "SyncRequest":
    """Return what to load. Raises ``ConfigError`` for names, modes and days that make no back-fill, and for a missing URL."""
    from pipelines.errors import ConfigError
    from pipelines.runs.progress import Happening, tell
    from pipelines.settings import UNREAD
    from pipelines.sync.model import DayRange
    from pipelines.wiring import SyncRequest

    first, last = asked
    found, (spec,) = settings.tables(source, [table])
    settings.source_url(found)
    if spec.partition is None:
        remedy = f"Rows that differ are found and healed by key: daybreak reconcile {source} {table} --heal"
        raise ConfigError([f"{spec.id} is {spec.mode}, so it has no days that could be loaded again."], safe=UNREAD, remedy=remedy)
    if last < first:
        raise ConfigError([f"The last day, {last}, is before the first, {first}."], safe=UNREAD, remedy="Name the earlier one first.")
    days = DayRange(first, last + timedelta(days=1))
    return SyncRequest(
        found,
        (spec,),
        days,
        progress=lambda one, phase, rows: tell(Happening(one.id, phase, rows)),
        reason="asked for by `daybreak backfill`",
    )


def _tell(at: "Backfill") -> None:
    typer.echo(str(at))


def _exit(result: "TableResult") -> None:
    if result.is_misconfigured:
        raise typer.Exit(MISCONFIGURED)
    if result.outcome == "held" or result.unfinished:
        raise typer.Exit(HELD)
