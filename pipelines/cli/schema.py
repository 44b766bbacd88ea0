"""``daybreak catalog schema``: what an editor needs to complete and check catalog files."""

import typer

catalog_app = typer.Typer(no_args_is_help=True, help="The catalog as machines see it.")


@catalog_app.callback()
def _group() -> None:
    """Keep `schema` a command of its own while it is the only one."""


@catalog_app.command("schema")
def show_schema() -> None:
    """Print the JSON schema of a catalog file, for editors."""
    from pipelines.catalog.document import schema_text

    typer.echo(schema_text(), nl=False)
