"""Staging models and their YAML, written anew when the source's columns change. What people wrote stays.

A column that the source renamed keeps the name that the model gave it, one that it dropped stays (NULL in new rows), a new one is
added. Two columns that swapped their names cannot be told by a model's text: they stay as they are called now.
Not here: what a region looks like (``region``), and what a table lacks altogether (``models``).
"""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise

from pipelines.discovery import deleted, staging
from pipelines.discovery.files import UNWRITTEN, Edit
from pipelines.discovery.models import Described, add_models, list_entries, list_keywords, read_described, refuse_same_slugs
from pipelines.discovery.region import Region, Selected, find_region, order_columns, plain_jinja, respell, write_region
from pipelines.discovery.yaml_text import YamlPath, append_to_item, insert_item, rename_item
from pipelines.errors import ConfigError
from pipelines.settings import Settings
from pipelines.sources import open_source
from pipelines.sync.schema import DELETED_AT, check_names, judge_changes, raw_columns
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.wiring import open_mirror

LOAD = tuple(name for name, _ in staging.LOAD)


@dataclass(frozen=True)
class History:
    """A table's schemas, oldest first: at least the one to write for."""

    spec: TableSpec
    schemas: Sequence[TableSchema]


@dataclass
class Generation:
    """Files as they will be, the models that have no region, by what to put into them, and those that show deleted rows."""

    edit: Edit = field(default_factory=Edit)
    left_alone: dict[str, str] = field(default_factory=dict)
    unfiltered: list[str] = field(default_factory=list)


def plan_generation(settings: Settings, source: SourceSpec, tables: Sequence[TableSpec], generation: Generation) -> None:
    """Put what the tables' models and YAML need into ``generation``, unwritten.

    Raises ``ConfigError`` for regions that are no regions any more and for names that cannot be told apart, and
    ``PrerequisiteError`` for tables that were never loaded and that the source does not have.
    """
    refuse_same_slugs(source, {table.name for table in tables})
    described = read_described(settings.dbt_folder / "models")
    keywords, problems = list_keywords(), []
    for history in _read_histories(settings, source, tables):
        try:
            _generate(described, history, keywords, generation)
        except ValueError as error:
            problems.append(f"{error}.")
    if problems:
        raise ConfigError(problems, safe=UNWRITTEN, remedy="Mend the models, then generate again.")


def _read_histories(settings: Settings, source: SourceSpec, tables: Sequence[TableSpec]) -> list[History]:
    """Return each table's committed schemas; of one that was never loaded, the source's."""
    found = {spec.id: _read_committed(settings, spec) for spec in tables}
    if all(found.values()):
        return [History(spec, found[spec.id]) for spec in tables]
    with open_source(source.name, settings.source_url(source)) as database:
        for spec in (spec for spec in tables if not found[spec.id]):
            found[spec.id] = [database.describe(spec)]
            check_names(spec, found[spec.id][0])
    return [History(spec, found[spec.id]) for spec in tables]


def _read_committed(settings: Settings, spec: TableSpec) -> list[TableSchema]:
    return [version.schema for version in open_mirror(settings.state_url).schema_history(spec.id)]


def _generate(described: Described, history: History, keywords: frozenset[str], generation: Generation) -> None:
    spec, schema, edit = history.spec, history.schemas[-1], generation.edit
    plain = staging.stage_table(spec, schema, keywords)
    file = described.model_file(plain.model)
    region = read_region(edit.read(file) or "", str(file), history) if file else None
    table = staging.stage_table(spec, schema, keywords, _standing(history, region)) if region else plain
    is_described = ("models", table.model) in described.files
    add_models(described, [table], edit)
    if file and spec.marks_deleted and DELETED_AT not in (edit.read(file) or ""):
        filtered = deleted.add_filter(region.tail) if region else None
        if region and filtered:
            region = replace(region, tail=filtered)
        else:
            generation.unfiltered.append(str(file))
    if file and region:
        edit.write(file, write_region(renew_region(region, table, history), f"{spec.source}.{table.name}", keywords))
        if is_described:
            _describe_model(described, table, edit)
    elif file:
        generation.left_alone[str(file)] = f"{spec.source}.{table.name}"
    _describe_source(described, history, table, edit)


def read_region(text: str, where: str, history: History) -> Region | None:
    """Return a model's region, if it has one, with raw columns as the source spells them. Raises ``ValueError`` as ``find_region``."""
    region = find_region(text, where)
    return respell(region, [column.name for schema in history.schemas for column in schema.columns]) if region else None


def renew_region(region: Region, table: staging.StagedTable, history: History) -> Region:
    """Return the region with the table's columns as they are now; each keeps the name that the model gave it."""
    kept = _keep_columns(region, history)
    selected, by_hand = {column.raw for column in kept}, _by_hand(region, table.columns)
    new = [Selected(staged.column.name, staged.name) for staged in table.columns if staged.column.name not in selected | by_hand]
    load = [name for name in LOAD if name not in region.by_hand]
    return replace(region, columns=order_columns(kept, new, load))


def _keep_columns(region: Region, history: History) -> list[Selected]:
    """Return the region's columns under the raw names that they have now, less those that are in no raw table any more."""
    spec, current = history.spec, {column.name for column in raw_columns(history.spec, history.schemas[-1])}
    names = follow_names(history, {column.raw for column in region.columns if not column.is_dropped} | set(region.by_hand))
    moved = {now for was, now in names.items() if now is not None and now != was}
    kept = []
    for column in region.columns:
        raw = names.get(column.raw) or column.raw
        is_older = raw == column.raw and raw in moved  # dropped, and its name belongs to a column that was renamed
        if spec.masks.get(raw) != "drop" and not is_older:
            kept.append(replace(column, raw=raw, is_dropped=raw not in {*current, *LOAD, DELETED_AT}))
    return kept


def follow_names(history: History, listed: Set[str]) -> Mapping[str, str | None]:
    """Return what the columns of a text that lists raw columns by name are called now; None for one that was dropped.

    The text was written from the version whose columns it has: of which it misses the fewest, and has the fewest that are none.
    """
    versions = [{column.name for column in raw_columns(history.spec, schema)} for schema in history.schemas]
    since = min(range(len(versions)), key=lambda number: (len(versions[number] ^ listed), -number))
    names: dict[str, str | None] = {name: name for name in versions[since]}
    for before, after in pairwise(history.schemas[since:]):
        changes = [judged.change for judged in judge_changes(history.spec, before, after) if judged.change]
        moves = {change.before.name: change.after.name if change.after else None for change in changes if change.before}
        names = {was: moves.get(now, now) if now is not None else None for was, now in names.items()}
    return names


def _standing(history: History, region: Region) -> staging.Standing:
    kept = _keep_columns(region, history)
    current = {column.name for column in raw_columns(history.spec, history.schemas[-1])}
    names = {column.raw: column.alias for column in reversed(kept) if column.raw in current}
    names |= {name: name for name, text in region.by_hand.items() if name in current - set(names) and _mentions(text, name)}
    return staging.Standing(names, {column.alias for column in kept} | set(region.by_hand))


def _by_hand(region: Region, columns: Sequence[staging.StagedColumn]) -> set[str]:
    """Return the raw columns that the model selects outside of its region, under their own names."""
    made = region.by_hand
    return {
        staged.column.name for staged in columns if staged.column.name in made and _mentions(made[staged.column.name], staged.column.name)
    }


def _mentions(text: str, name: str) -> bool:
    """Whether what makes a column called ``name`` reads a column of that name too, so not only its alias is called so."""
    made = re.sub(r"(?i)\s+as\s+\S+$", "", text)
    return re.search(rf"\b{re.escape(name)}\b", made) is not None


def _describe_source(described: Described, history: History, table: staging.StagedTable, edit: Edit) -> None:
    """Give the raw table's YAML the columns that it lacks, in front of those that tell of the load; renamed ones keep their text."""
    source, file = table.spec.source, described.sources_file(table.spec.source)
    path: YamlPath = ["sources", ("name", source), "tables", ("name", table.name), "columns"]
    text = edit.read(file) or ""
    listed = [str(entry.get("name")) for entry in list_entries(text, "sources", source, "tables", table.name, "columns")]
    if not listed:
        return  # people who describe no column of a table mean it
    raw = {plain_jinja(column.name): column.name for schema in history.schemas for column in schema.columns}
    names = follow_names(history, {raw.get(name, name) for name in listed})
    moves = {was: plain_jinja(now) for was in listed if (now := names.get(raw.get(was, was))) is not None and plain_jinja(now) != was}
    moves = {was: now for was, now in moves.items() if now not in listed or now in moves}
    for number, was in enumerate(moves):  # through a name that nobody has, so that two columns can swap
        text = rename_item(text, path, was, f"_moving_{number}")
    for number, now in enumerate(moves.values()):
        text = rename_item(text, path, f"_moving_{number}", now)
    listed = [moves.get(name, name) for name in listed]
    wanted = {plain_jinja(staged.column.name): staged for staged in table.columns}
    for name, staged in wanted.items():
        if name not in listed:
            text = insert_item(text, path, [staging.write_source_column(table, staged)], str(file), before=LOAD[0])
    if table.spec.marks_deleted and DELETED_AT not in listed:
        text = insert_item(text, path, [staging.write_load_column(*deleted.COLUMN)], str(file))
    edit.write(file, text)


def _describe_model(described: Described, table: staging.StagedTable, edit: Edit) -> None:
    """Give the model's YAML the columns that the source has a comment for, and that it lacks."""
    file = described.files["models", table.model]
    text = edit.read(file) or ""
    listed = {entry.get("name") for entry in list_entries(text, "models", table.model, "columns")}
    path: YamlPath = ["models", ("name", table.model), "columns"]
    for staged in (staged for staged in table.columns if staged.column.comment and staged.name not in listed):
        item = staging.write_model_column(table, staged)
        if listed:
            text = insert_item(text, path, item, str(file))
        else:
            text = append_to_item(text, path[:-1], ["columns:", *(f"  {line}" for line in item)])
        listed.add(staged.name)
    edit.write(file, text)
