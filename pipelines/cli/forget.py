"""`daybreak forget` on the command line: a thin face over ``pipelines.forgetting``."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pipelines.forgetting import ForgetRequest, Outcome


def forget(  # noqa: PLR0913, PLR0917 - one per option
    source: Annotated[str, typer.Argument(help="The source's name in the catalog.")],
    table: Annotated[str, typer.Argument(help="The table's name in the catalog.")],
    key: Annotated[list[str], typer.Argument(help="The row's key: one value for each column of it, in the catalog's order.")],
    by: Annotated[str | None, typer.Option("--by", help="Who asks for it; the login name if not given. It stands on the record.")] = None,
    is_run_wanted: Annotated[
        bool, typer.Option("--run/--no-run", help="Build what stands on the table anew at once, by a morning run.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Delete a row that is gone from the source from everything that was read, built and told from it. Safe to do again.

    Ends with 2 if the row is still in the source, and with 3 if it may be found somewhere still: what and why is printed.
    """
    from pipelines.cli.explain import HELD, explaining, name_person
    from pipelines.cli.output import watching
    from pipelines.forgetting import ForgetRequest, forget
    from pipelines.settings import load_settings

    with explaining():
        request = ForgetRequest(source, table, tuple(key), name_person(by), is_run_wanted)
        with watching(is_quiet=as_json):
            outcome = forget(load_settings(), request)
    if as_json:
        typer.echo(json.dumps(_numbers(outcome), ensure_ascii=False))
    else:
        _show(request, outcome)
    if outcome.left:
        raise typer.Exit(HELD)


def _numbers(outcome: "Outcome") -> dict[str, object]:
    found = outcome.found
    return {
        "rows": found.entry.counts.deleted if found.entry else 0,
        "quarantine_entries": found.quarantine_entries,
        "landed_loads": found.landed_loads,
        "dagster_runs": outcome.dropped_runs,
        "load_id": found.entry.load_id if found.entry else None,
        "left": list(outcome.left),
    }


def _show(request: "ForgetRequest", outcome: "Outcome") -> None:
    numbers = _numbers(outcome)
    table = f"{request.source}.{request.table}"
    if not outcome.is_known:
        typer.echo(f"No row of {table} with this key stood in the warehouse or in quarantine, and nothing that is kept named it.")
    else:
        typer.echo(
            f"Forgotten in {table}: {numbers['rows']} row(s), {numbers['quarantine_entries']} quarantine entries, "
            f"and {numbers['dagster_runs']} of Dagster's runs that named it."
        )
    typer.echo(f"Landed files of {numbers['landed_loads']} load(s) of the table were deleted.")
    if outcome.found.entry:
        typer.echo(
            f"On the record, without the key: load {numbers['load_id']} in daybreak.ledger and daybreak.forgotten, by {request.asked_by}."
        )
    for place in outcome.left:
        typer.secho(f"Still there: {place}.", fg=typer.colors.YELLOW)
    if outcome.left:
        typer.echo("Give the same command again when that is mended; it does no harm.")
    typer.echo("Backups, copies of the files made elsewhere, and messages that were sent are not reached from here.")
