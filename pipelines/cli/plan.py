"""`daybreak plan` and `daybreak apply` on the command line: thin faces over ``pipelines.evolution``."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipelines.cli.explain import HELD, explaining, name_person

if TYPE_CHECKING:
    from pipelines.evolution.impact import Touched
    from pipelines.evolution.plan import TablePlan
    from pipelines.settings import Settings

BREAKING = 4
COUNTED = ("test", "contract")  # there are many; those that break are named
COLORS = {"safe": typer.colors.GREEN, "needs approval": typer.colors.YELLOW, "breaking": typer.colors.RED}


def plan(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a comment on a pull request.")] = False,
) -> None:
    """Show what a migration of the source means: warehouse DDL, rows to read again, models and dashboards touched. Changes nothing.

    Ends with 3 if a change waits for a person, and with 4 if one is breaking, or breaks a test, a contract or a model.
    """
    from pipelines.cli.output import spinning
    from pipelines.evolution.plan import plan_source
    from pipelines.settings import load_settings

    with explaining():
        settings = load_settings()
        sources = [settings.source(source)] if source else settings.sources()
        with spinning("Comparing"):
            manifest = _load_manifest(settings)
            plans = [table for wanted in sources for table in plan_source(settings, wanted, manifest)]
    if as_json:
        typer.echo(json.dumps([asdict(table) for table in plans], default=str, ensure_ascii=False))
    elif as_markdown:
        typer.echo("\n".join(_as_markdown(plans)))
    else:
        _show(plans)
    _end(plans)


def apply(
    source: Annotated[str | None, typer.Argument(help="Only this source.")] = None,
    approve: Annotated[list[str] | None, typer.Option(help="The id of changes that `plan` says need approval; may be repeated.")] = None,
    by: Annotated[str | None, typer.Option(help="Who approves, for the record; else the account's name.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Follow a migration of the source now: sync every table whose schema changed, if that is safe or approved.

    The next run does the same for what is safe. Ends with 3 if a change waits for a person or a gate holds, and with 4 if one is breaking.
    """
    from pipelines.cli.output import show_results, watching
    from pipelines.evolution.apply import ApplyRequest, apply_changes
    from pipelines.runs.progress import Happening, tell
    from pipelines.settings import load_settings
    from pipelines.state.results import sum_counts

    with explaining():
        settings = load_settings()
        sources = [settings.source(source)] if source else settings.sources()
        who = name_person(by) if approve else ""
        with watching(is_quiet=as_json):
            request = ApplyRequest(sources, approve or (), who, lambda table, phase, rows: tell(Happening(table.id, phase, rows)))
            applied = apply_changes(settings, request, _load_manifest(settings))
    if as_json:
        rows = [{"table": r.table, "outcome": r.outcome, **asdict(sum_counts(r)), "held": r.held_reason} for r in applied.results]
        typer.echo(json.dumps({"synced": rows, "waiting": [asdict(table) for table in applied.waiting]}, default=str, ensure_ascii=False))
    else:
        if applied.results:
            show_results(applied.results)
        _show(applied.waiting)
        if not applied.results and not applied.waiting:
            typer.echo("The source's schema is what was loaded last: nothing to do.")
    if any(result.outcome == "held" for result in applied.results):
        raise typer.Exit(HELD)
    _end(applied.waiting)


def _load_manifest(settings: "Settings") -> Mapping[str, Any]:
    """Return dbt's manifest; one of no models if it cannot be had, because what the source did can be told and followed without."""
    from pipelines.assets.manifest import load_manifest
    from pipelines.errors import PrerequisiteError
    from pipelines.evolution.impact import NO_MODELS

    try:
        return load_manifest(settings)
    except PrerequisiteError as error:
        typer.secho(f"What stands on the tables is not known, and not told: {error}", fg=typer.colors.YELLOW, err=True)
        return NO_MODELS


def _end(plans: Sequence["TablePlan"]) -> None:
    """Exit with the code of the worst state."""
    from pipelines.evolution.plan import worst

    code = {"needs approval": HELD, "breaking": BREAKING}.get(worst(plans))
    if code:
        raise typer.Exit(code)


def _show(plans: Sequence["TablePlan"]) -> None:
    from pipelines.evolution.plan import to_tell

    told = to_tell(plans)
    for table in told:
        typer.secho(f"{table.table}: {table.state}", fg=COLORS.get(table.state), bold=True)
        for change in table.changes:
            typer.echo(f"  {change.told}" + (f"  ({change.judgement})" if change.judgement != table.state else ""))
        for statement in table.statements:
            typer.echo(f"  warehouse  {statement}")
        for what in _reading(table):
            typer.echo(f"  reads      {what}")
        for line in _tell_touched(table.touched):
            typer.echo(f"  {line}")
        if table.problem:
            typer.echo(f"  {table.problem}")
        if table.state == "needs approval":
            typer.echo(f"  approve    daybreak apply {table.table.partition('.')[0]} --approve {table.approval}")
    new = [table.table for table in plans if table.state == "not in the catalog"]
    if new:
        typer.echo(f"Not in the catalog: {', '.join(new)}. `daybreak add SOURCE TABLE` adds one.")
    rest = len(plans) - len(told) - len(new)
    if rest:
        typer.echo(f"{rest} table{' has' if rest == 1 else 's have'} nothing to do.")


def _reading(table: "TablePlan") -> list[str]:
    """Return what of old rows is read, in words."""
    about = f", about {table.seconds:,.0f} s at the pace of the last loads" if table.seconds and table.seconds >= 1 else ""
    if table.rows_to_read:
        return [f"{table.rows_to_read:,} rows again, for the values of old rows{about}"]
    if table.rows_to_fill:
        return [f"{', '.join(table.columns_to_fill)} of {table.rows_to_fill:,} rows, with their key and cursor{about}"]
    return []


def _tell_touched(touched: Sequence["Touched"], quote: str = "") -> list[str]:
    """Return a line for what is touched, one for what may be, and one for each thing that breaks. What holds is only counted."""
    lines = []
    for is_certain, told in ((True, "touches   "), (False, "may touch ")):
        items = [item for item in touched if item.is_certain is is_certain]
        named = [
            f"{item.kind} {quote}{item.name}{quote}{_columns(item)}"
            for item in items
            if item.kind not in COUNTED and (item.mark != "breaking" or not item.reason)
        ]
        for kind in COUNTED:
            count = sum(item.kind == kind and item.mark != "breaking" for item in items)
            named += [f"{count} {kind}{'' if count == 1 else 's'}"] if count else []
        lines += [f"{told} {', '.join(named)}"] if named else []
    breaking = [item for item in touched if item.mark == "breaking" and item.reason]
    return [*lines, *(f"breaks     {item.kind} {quote}{item.name}{quote}: {item.reason}" for item in breaking)]


def _columns(item: "Touched") -> str:
    if item.columns:
        return f" ({', '.join(item.columns)})"
    return " (its rows)" if item.kind in ("model", "snapshot") and item.because and item.is_certain else ""


def _as_markdown(plans: Sequence["TablePlan"]) -> list[str]:
    from pipelines.evolution.plan import to_tell

    told = to_tell(plans)
    if not told:
        return ["The source's schema is what was loaded last: nothing to do."]
    lines = ["| table | change | judged | old rows read | touches |", "|---|---|---|---|---|"]
    for table in told:
        touched = "; ".join(re.sub(r"  +", " ", line).removeprefix("touches ") for line in _tell_touched(table.touched, "`"))
        rows: list[tuple[str, str]] = [(change.told, change.judgement) for change in table.changes]
        rows = rows or [(table.problem or "", table.state)]
        old = table.rows_to_read + table.rows_to_fill
        lines += [f"| `{table.table}` | {_cell(what)} | {judged} | {old:,} | {_cell(touched)} |" for what, judged in rows]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
