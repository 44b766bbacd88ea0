"""Adding a table: its entry, its staging model and their YAML. Everything is checked before the first file is written.

What stands already is never changed: entries go behind the last one of their list, and a model that is there stays as it is.
Not here: what the texts say (``write``, ``staging``).
"""

import difflib
import os
from collections.abc import Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from pipelines.catalog.read import read_catalog
from pipelines.discovery import staging
from pipelines.discovery.guess import guess_table
from pipelines.discovery.write import write_entry
from pipelines.discovery.yaml_text import insert_item
from pipelines.errors import ConfigError, PrerequisiteError
from pipelines.names import make_slug
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.sync.schema import check_names
from pipelines.sync.spec import SourceSpec

UNWRITTEN = "Nothing was written."


@dataclass(frozen=True)
class AddRequest:
    """Which tables of a source to add; none named means all of the catalog's. ``masks_personal`` is for new entries."""

    source: str
    tables: tuple[str, ...] = ()
    masks_personal: bool = False


@dataclass
class Addition:
    """Files as they will be, in the order they are to be written: each is of use only with those before it."""

    texts: dict[Path, str] = field(default_factory=dict)

    def read(self, file: Path) -> str | None:
        """Return a file's text as it will be; None if there is none."""
        if file not in self.texts and not file.exists():
            return None
        return self.texts[file] if file in self.texts else file.read_bytes().decode()


def plan_addition(settings: Settings, request: AddRequest) -> Addition:
    """Return the files that the tables still need, unwritten.

    Raises ``ConfigError`` for a source that the catalog does not have, for names that cannot be told apart and for files in
    the way; ``PrerequisiteError`` for tables that the source does not have, or that cannot be synced as they are.
    """
    source = settings.source(request.source)
    url, addition = settings.source_url(source), Addition()
    if set(request.tables) - {table.name for table in source.tables}:
        source = _add_entries(settings, source, request, addition)
    wanted = [source.table(name) for name in dict.fromkeys(request.tables)] or list(source.tables)
    _refuse_same_slugs(source, {table.name for table in wanted})
    keywords = _list_keywords()
    with open_source(source.name, url) as database:
        staged = []
        for spec in wanted:
            schema = database.describe(spec)
            check_names(spec, schema)
            staged.append(staging.stage_table(spec, schema, keywords))
    _add_models(settings.dbt_folder / "models", staged, addition)
    return addition


def write_files(addition: Addition) -> None:
    """Write all files under other names, then give each its own; a crash in between leaves whole files, in an order that works."""
    temporary = {file: file.with_name(f".{file.name}.{os.getpid()}") for file in addition.texts}
    try:
        for file, text in addition.texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            with temporary[file].open("wb") as out:
                out.write(text.encode())
                out.flush()
                os.fsync(out.fileno())
            if file.exists():
                temporary[file].chmod(file.stat().st_mode & 0o777)
        for file in addition.texts:
            temporary[file].replace(file.resolve())  # through a link, to the file it names
    except OSError as error:
        raise PrerequisiteError(
            [f"{error.filename}: {error.strerror}."], safe="No file is half written.", remedy="Mend it, and add again: what is there stays."
        ) from error
    finally:
        for file in temporary.values():
            with suppress(OSError):  # what could not be written need not be taken away
                file.unlink()


def _add_entries(settings: Settings, source: SourceSpec, request: AddRequest, addition: Addition) -> SourceSpec:
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
    addition.texts[file] = text
    with TemporaryDirectory() as folder:
        (Path(folder) / file.name).write_bytes(text.encode())
        (read,) = read_catalog(Path(folder))
    return read


def _find_catalog_file(folder: Path, source: str) -> Path:
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    return next(file for file in files if yaml.safe_load(file.read_bytes()).get("source") == source)


def _refuse_same_slugs(source: SourceSpec, wanted: Set[str]) -> None:
    by_slug: dict[str, list[str]] = {}
    for table in source.tables:
        by_slug.setdefault(make_slug(table.name), []).append(table.name)
    same = [names for names in by_slug.values() if len(names) > 1 and wanted & set(names)]
    if same:
        raise ConfigError(
            [f"Tables that would be one model: {', '.join(f'`{name}`' for name in names)}." for names in same],
            safe=UNWRITTEN,
            remedy="Sync one of them through a view that has another name, or write its model by hand and add the others by name.",
        )


def _list_keywords() -> frozenset[str]:
    """Return the words that the warehouse does not take for a column's name without quotes."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute(
            "select keyword_name from duckdb_keywords() where keyword_category in ('reserved', 'type_function')"
        ).fetchall()
    return frozenset(word for (word,) in rows) | {"connect", "grant"}  # which sqlfluff does not take


def _add_models(models: Path, tables: Sequence[staging.StagedTable], addition: Addition) -> None:
    described = _read_yaml(models)
    problems = []
    for table in tables:
        folder, source = models / "staging" / table.spec.source, table.spec.source
        _add_source_table(described.get(("sources", source), folder / f"_{source}__sources.yml"), table, addition)
        standing = next(models.rglob(f"{table.model}.sql"), None)
        if standing is None:
            addition.texts[folder / f"{table.model}.sql"] = staging.write_model(table)
        elif not _reads(standing.read_text(encoding="utf-8"), table):
            problems.append(f"{standing} is there already, and does not read source('{source}', '{table.name}').")
        if ("models", table.model) not in described:
            _add_item(folder / f"_{source}__models.yml", "models", staging.write_model_entry(table), addition)
    if problems:
        raise ConfigError(problems, safe=UNWRITTEN, remedy="Rename the model that stands in the way, or write this one by hand.")


def _add_source_table(file: Path, table: staging.StagedTable, addition: Addition) -> None:
    source, item = table.spec.source, staging.write_source_table(table)
    text = addition.read(file)
    known = next((entry for entry in _entries(text, "sources") if entry.get("name") == source), None)
    if known is None or not known.get("tables"):
        _add_item(file, "sources", [*staging.write_source_head(table), *(f"    {line}" for line in item)], addition)
    elif table.name not in {entry.get("name") for entry in known["tables"]}:
        addition.texts[file] = insert_item(text or "", ["sources", ("name", source), "tables"], item, str(file))


def _add_item(file: Path, top: str, item: Sequence[str], addition: Addition) -> None:
    """Put an item into the list ``top`` of a YAML file, which is made if it is not there."""
    text = addition.read(file)
    if text is None:
        addition.texts[file] = "\n".join([f"{top}:", *(f"  {line}" for line in item)]) + "\n"
    else:
        addition.texts[file] = insert_item(text, [top], item, str(file))


def _reads(model: str, table: staging.StagedTable) -> bool:
    squeezed = model.replace(" ", "").replace('"', "'")
    return f"source('{table.spec.source}','{table.name}')" in squeezed


def _read_yaml(models: Path) -> Mapping[tuple[str, str], Path]:
    """Return which file describes a source or a model, by (`sources` or `models`, name)."""
    found: dict[tuple[str, str], Path] = {}
    for file in sorted([*models.rglob("*.yml"), *models.rglob("*.yaml")]):
        text = file.read_bytes().decode()
        found |= {(top, str(entry.get("name"))): file for top in ("sources", "models") for entry in _entries(text, top)}
    return found


def _entries(text: str | None, top: str) -> list[dict[str, Any]]:
    value = yaml.safe_load(text) if text else None
    entries = value.get(top) if isinstance(value, dict) else None
    return [entry for entry in entries or [] if isinstance(entry, dict)]
