"""Adding a table: its entry, its staging model and their YAML. Everything is checked before the first file is written.

What stands already is never changed: entries go behind the last one of their list, and a model that is there stays as it is.
Not here: what the texts say (``write``, ``staging``), and where models and their YAML go (``models``).
"""

import difflib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

from pipelines.catalog.read import read_catalog
from pipelines.discovery import staging
from pipelines.discovery.files import UNWRITTEN, Edit
from pipelines.discovery.guess import guess_table
from pipelines.discovery.models import add_models, list_keywords, read_described, refuse_same_slugs
from pipelines.discovery.write import write_entry
from pipelines.discovery.yaml_text import insert_item
from pipelines.errors import PrerequisiteError
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.sync.schema import check_names
from pipelines.sync.spec import SourceSpec


@dataclass(frozen=True)
class AddRequest:
    """Which tables of a source to add; none named means all of the catalog's. ``masks_personal`` is for new entries."""

    source: str
    tables: tuple[str, ...] = ()
    masks_personal: bool = False


def plan_addition(settings: Settings, request: AddRequest) -> Edit:
    """Return the files that the tables still need, unwritten.

    Raises ``ConfigError`` for a source that the catalog does not have, for names that cannot be told apart and for files in
    the way; ``PrerequisiteError`` for tables that the source does not have, or that cannot be synced as they are.
    """
    source = settings.source(request.source)
    url, edit = settings.source_url(source), Edit()
    if set(request.tables) - {table.name for table in source.tables}:
        source = _add_entries(settings, source, request, edit)
    wanted = [source.table(name) for name in dict.fromkeys(request.tables)] or list(source.tables)
    refuse_same_slugs(source, {table.name for table in wanted})
    keywords = list_keywords()
    with open_source(source.name, url) as database:
        staged = []
        for spec in wanted:
            schema = database.describe(spec)
            check_names(spec, schema)
            staged.append(staging.stage_table(spec, schema, keywords))
    add_models(read_described(settings.dbt_folder / "models"), staged, edit)
    return edit


def _add_entries(settings: Settings, source: SourceSpec, request: AddRequest, edit: Edit) -> SourceSpec:
    """Put an entry for each table that has none into the source's file; return the source as the file then says."""
    from pipelines.sources.postgres_survey import survey_database

    schema = source.tables[0].schema
    survey = survey_database(source.name, settings.source_url(source), schema, settings.time_zone)
    found = {table.name: table for table in survey.tables}
    folded = {table.name.casefold(): table.name for table in source.tables}
    file = _find_catalog_file(settings.catalog_folder, source.name)
    text, problems = file.read_bytes().decode(), []
    entered = {table.name for table in source.tables}
    for name in (name for name in dict.fromkeys(request.tables) if name not in entered):
        if name not in found:
            close = difflib.get_close_matches(name, found, n=1)
            problems.append(f"`{schema}` has no table `{name}`{f'; did you mean `{close[0]}`?' if close else ', or it is a partition'}")
        elif found[name].refusal:
            problems.append(f"`{name}` cannot be synced as it is: {found[name].refusal}")
        elif name.casefold() in folded:
            problems.append(f"the warehouse cannot tell `{name}` from `{folded[name.casefold()]}`; sync a view that has another name")
        else:
            text = insert_item(text, ["tables"], write_entry(guess_table(found[name], masks_personal=request.masks_personal)), str(file))
        folded.setdefault(name.casefold(), name)
    if problems:
        raise PrerequisiteError([f"Source `{source.name}`: {p}." for p in problems], safe=UNWRITTEN, remedy="See `daybreak discover`.")
    edit.texts[file] = text
    with TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_bytes(text.encode())
        (read,) = read_catalog(Path(folder))
    return read


def _find_catalog_file(folder: Path, source: str) -> Path:
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return next(file for file in files if yaml.safe_load(file.read_bytes()).get("source") == source)
