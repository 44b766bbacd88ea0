"""What a table's staging model and YAML still lack, put where it belongs in the dbt project. What stands already is never changed.

Not here: what the texts say (``staging``), and what is written anew in files that stand (``generate``).
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from pipelines.discovery import staging
from pipelines.discovery.files import UNWRITTEN, Edit
from pipelines.discovery.yaml_text import insert_item
from pipelines.errors import ConfigError
from pipelines.names import list_words, make_slug
from pipelines.sync.spec import SourceSpec


@dataclass(frozen=True)
class Described:
    """The models folder of a dbt project, and which of its files describes a source or a model, by (`sources` or `models`, name)."""

    folder: Path
    files: Mapping[tuple[str, str], Path]

    def sources_file(self, source: str) -> Path:
        """Return the file that describes a source, or will."""
        return self.files.get(("sources", source), self.folder / "staging" / source / f"_{source}__sources.yml")

    def model_file(self, model: str) -> Path | None:
        """Return a model's SQL file if there is one."""
        return next(self.folder.rglob(f"{model}.sql"), None)


def read_described(folder: Path) -> Described:
    """Read which file describes what."""
    found: dict[tuple[str, str], Path] = {}
    for file in sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")]):
        text = file.read_bytes().decode()
        found |= {(top, str(entry.get("name"))): file for top in ("sources", "models") for entry in list_entries(text, top)}
    return Described(folder, found)


def list_entries(text: str | None, *path: str) -> list[dict[str, Any]]:
    """Return the entries of a list in a YAML file: a key, then by turns the name of an entry and a key of that."""
    value: Any = yaml.safe_load(text) if text else None
    for number, step in enumerate(path):
        if number % 2:
            value = next((entry for entry in value if entry.get("name") == step), None)
        else:
            found = value.get(step) if isinstance(value, dict) else None
            value = [entry for entry in found or [] if isinstance(entry, dict)]
    return list(value)


def add_models(described: Described, tables: Sequence[staging.StagedTable], edit: Edit) -> None:
    """Put what the tables lack into ``edit``. Raises ``ConfigError`` for models of somebody else that have their names."""
    problems = []
    for table in tables:
        folder, source = described.folder / "staging" / table.spec.source, table.spec.source
        _add_source_table(described.sources_file(source), table, edit)
        standing = described.model_file(table.model)
        if standing is None:
            edit.texts[folder / f"{table.model}.sql"] = staging.write_model(table)
        elif not _reads(standing.read_text(encoding="utf-8"), table):
            problems.append(f"{standing} is there already, and does not read source('{source}', '{table.name}').")
        if ("models", table.model) not in described.files:
            _add_item(folder / f"_{source}__models.yml", "models", staging.write_model_entry(table), edit)
    if problems:
        raise ConfigError(problems, safe=UNWRITTEN, remedy="Rename the model that stands in the way, or write this one by hand.")


def refuse_same_slugs(source: SourceSpec, wanted: Set[str]) -> None:
    """Raise ``ConfigError`` if a wanted table would be one model with another one."""
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


# Snowflake's reserved words that are none of DuckDB's. Source: its documentation, "Reserved & limited keywords".
_SNOWFLAKE = list_words(
    """
    alter between case cast connect current current_date current_time current_timestamp current_user delete drop exists following grant
    increment insert issue localtime localtimestamp minus of regexp revoke rlike row rows sample set start trigger update values whenever
    """
)


@lru_cache(maxsize=1)
def list_keywords() -> frozenset[str]:
    """Return the words that one of the warehouses does not take for a column's name without quotes."""
    import duckdb

    with duckdb.connect() as connection:
        rows = connection.execute(
            "select keyword_name from duckdb_keywords() where keyword_category in ('reserved', 'type_function')"
        ).fetchall()
    return frozenset(word for (word,) in rows) | _SNOWFLAKE


def _add_source_table(file: Path, table: staging.StagedTable, edit: Edit) -> None:
    source, item = table.spec.source, staging.write_source_table(table)
    text = edit.read(file)
    known = next((entry for entry in list_entries(text, "sources") if entry.get("name") == source), None)
    if known is None or not known.get("tables"):
        _add_item(file, "sources", [*staging.write_source_head(table), *(f"    {line}" for line in item)], edit)
    elif table.name not in {entry.get("name") for entry in known["tables"]}:
        edit.texts[file] = insert_item(text or "", ["sources", ("name", source), "tables"], item, str(file))


def _add_item(file: Path, top: str, item: Sequence[str], edit: Edit) -> None:
    """Put an item into the list ``top`` of a YAML file, which is made if it is not there."""
    text = edit.read(file)
    if text is None:
        edit.texts[file] = "\n".join([f"{top}:", *(f"  {line}" for line in item)]) + "\n"
    else:
        edit.texts[file] = insert_item(text, [top], item, str(file))


def _reads(model: str, table: staging.StagedTable) -> bool:
    squeezed = model.replace(" ", "").replace('"', "'")
    return f"source('{table.spec.source}','{table.name}')" in squeezed
