"""`daybreak quarantine` and `daybreak release` on the command line: thin faces over ``pipelines.quarantine``."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Literal

import typer

QuarantineState = Literal["open", "fixed", "replayed"]  # as in ``sync.model``, which need not be imported to print the help

quarantine_app = typer.Typer(no_args_is_help=True, help="Rows that stepped aside, and loads that were held.")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Source = Annotated[str, typer.Argument(help="The source's name in the catalog.")]
Key = Annotated[list[str] | None, typer.Option("--key", help="One row: its key, once for each column of it, in the catalog's order.")]


class State(StrEnum):
    """The states of an entry, as an option."""

    open = "open"
    fixed = "fixed"
    replayed = "replayed"
    all = "all"


_WANTED: Mapping[State, QuarantineState | None] = {
    State.open: "open",
    State.fixed: "fixed",
    State.replayed: "replayed",
    State.all: None,
}


@quarantine_app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """Show what stands in quarantine by table, column and reason, and below it the loads that were held."""
    from pipelines.cli.explain import explaining
    from pipelines.quarantine import list_quarantine
    from pipelines.settings import load_settings

    with explaining():
        settings = load_settings()
        counts, held = list_quarantine(settings)
    if as_json:
        found = {"quarantine": [asdict(count) for count in counts], "held": [asdict(load) for load in held]}
        typer.echo(json.dumps(found, default=str, ensure_ascii=False))
        return
    from pipelines.cli.quarantine_output import show_list

    show_list(counts, held)


@quarantine_app.command("show")
def show(  # noqa: PLR0913, PLR0917 - one per option
    source: Source,
    table: Annotated[str, typer.Argument(help="The table's name in the catalog.")],
    key: Key = None,
    state: Annotated[State, typer.Option(help="Only entries of this state.")] = State.open,
    limit: Annotated[int, typer.Option(help="How many entries at most.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Show rows of a table that stepped aside: why, since when, and what they were in the source."""
    from pipelines.cli.explain import explaining
    from pipelines.quarantine import EntriesRequest, show_entries
    from pipelines.settings import load_settings

    with explaining():
        entries = show_entries(load_settings(), EntriesRequest(source, table, tuple(key or ()), _WANTED[state], limit + 1))
    is_cut, entries = len(entries) > limit, entries[:limit]
    if as_json:
        rows = [
            {**asdict(entry), "key": json.loads(entry.key) if entry.key else None, "original": json.loads(entry.original)}
            for entry in entries
        ]
        typer.echo(json.dumps(rows, default=str, ensure_ascii=False))
        return
    from pipelines.cli.quarantine_output import show_rows

    show_rows(entries, f"{source}.{table}", state.value, is_cut=is_cut)


@quarantine_app.command("replay")
def replay(
    source: Source,
    table: Annotated[str | None, typer.Argument(help="Only this table.")] = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Read rows in quarantine again, one by one, and load those that are good now.

    Ends with 0 even if rows are still bad: they stay where they are, which is no failure of this command. Ends with 3 if a table
    could not be read again.
    """
    from pipelines.cli.explain import HELD, explaining
    from pipelines.quarantine import replay_tables
    from pipelines.settings import load_settings

    with explaining():
        results = replay_tables(load_settings(), source, table, tuple(key or ()))
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], ensure_ascii=False))
    else:
        from pipelines.cli.quarantine_output import show_replayed

        show_replayed(results)
    if any(result.problem for result in results):
        raise typer.Exit(HELD)


def release(
    load_id: Annotated[str, typer.Argument(help="The held load, as `daybreak quarantine list` names it.")],
    by: Annotated[str | None, typer.Option("--by", help="Who decides this; the login name if not given. It stands in the ledger.")] = None,
    as_json: AsJson = False,
) -> None:
    """Let a held load in as it is, on the record. Its bad rows still step aside into quarantine.

    Ends with 3 if the load is superseded, or if nobody can let it in.
    """
    from pipelines.cli.explain import HELD, explaining, name_person
    from pipelines.quarantine import release as let_in
    from pipelines.settings import load_settings

    with explaining():
        who = name_person(by)
        held, outcome = let_in(load_settings(), load_id, who)
    if as_json:
        entry = outcome.entry
        told = {"load_id": load_id, "table": held.plan.table, "state": outcome.state, "told": outcome.told, "released_by": who}
        typer.echo(json.dumps({**told, "counts": asdict(entry.counts) if entry else None}, ensure_ascii=False))
    else:
        from pipelines.cli.quarantine_output import show_release

        show_release(held, outcome, who)
    if outcome.state != "released":
        raise typer.Exit(HELD)
