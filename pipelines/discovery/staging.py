"""A table's staging model and its entries in the YAML beside it, as text. Pure.

The model is the only place that knows the source's own names: a column whose name SQL needs quotes for gets a snake_case
one here. Not here: which files there are and what may be written (``add``).
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from pipelines.discovery import deleted
from pipelines.discovery.region import LONG_NAME, Region, Selected, is_bare, order_columns, plain_jinja, write_raw, write_region
from pipelines.discovery.yaml_text import flow, scalar, sentence
from pipelines.names import make_asset_name, make_slug
from pipelines.sync.schema import raw_columns
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

LOAD = (("_load_id", "The load that wrote the row; a key of daybreak.ledger."), ("_loaded_at", "When that load was committed."))


@dataclass(frozen=True)
class StagedColumn:
    """A column that lands, and what the staging model calls it."""

    column: Column
    name: str


@dataclass(frozen=True)
class StagedTable:
    """A table as dbt will know it. ``name`` is dbt's word for the raw table, ``model`` for its staging view."""

    spec: TableSpec
    comment: str | None
    columns: tuple[StagedColumn, ...]
    keywords: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The raw table's name in dbt: its own where that is plain."""
        return make_slug(self.spec.name)

    @property
    def model(self) -> str:
        """The staging model's name."""
        return f"stg_{self.spec.source}__{self.name}"

    @property
    def key(self) -> tuple[str, ...]:
        """The key's columns, as the model calls them."""
        names = {staged.column.name: staged.name for staged in self.columns}
        return tuple(names[name] for name in self.spec.key)


@dataclass(frozen=True)
class Standing:
    """What a model says already: what it calls raw columns, and which names are taken by what is none of the source's columns."""

    names: Mapping[str, str] = field(default_factory=dict)
    taken: Set[str] = frozenset()


def stage_table(spec: TableSpec, schema: TableSchema, keywords: frozenset[str], standing: Standing | None = None) -> StagedTable:
    """Return the table with a name for each column that lands; ``keywords`` are what SQL does not take for a column unquoted."""
    landed, standing = raw_columns(spec, schema), standing or Standing()
    taken = {*standing.names.values(), *standing.taken, *(name for name, _ in describe_load(spec))}
    bare = {column.name for column in landed if column.name not in {*standing.names, *taken} and is_bare(column.name, keywords)}
    taken |= bare
    staged = []
    for column in landed:
        name = standing.names.get(column.name, column.name if column.name in bare else None)
        name = name or _find_free(make_slug(column.name), taken, keywords)
        taken.add(name)
        staged.append(StagedColumn(column, name))
    return StagedTable(spec, schema.comment, tuple(staged), keywords)


def describe_load(spec: TableSpec) -> tuple[tuple[str, str], ...]:
    """Return the columns of the raw table that are the engine's, each with what it says."""
    return (*LOAD, deleted.COLUMN) if spec.marks_deleted else LOAD


def _find_free(slug: str, taken: Set[str], keywords: Set[str]) -> str:
    wanted = f"{slug}_value" if slug in keywords else slug
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def write_model(table: StagedTable) -> str:
    """Return the staging model: two CTEs, every column by name, in a region that is written anew when the source changes."""
    raw = f"'{table.spec.source}', '{table.name}'"
    gap = " " if len(raw) <= LONG_NAME // 2 else "\n    "
    head = (
        f"with\n\nsource as (\n    select *{{{{ former_names({raw}) }}}}{gap}from {{{{ source({raw}) }}}}\n),\n\nrenamed as (\n    select\n"
    )
    columns = [Selected(staged.column.name, staged.name) for staged in table.columns]
    where = deleted.write_filter("    ") if table.spec.marks_deleted else ""
    tail = f"\n    from source\n{where})\n\nselect * from renamed\n"
    region = Region(head, order_columns((), columns, [name for name, _ in LOAD]), (), tail)
    return write_region(region, f"{table.spec.source}.{table.name}", table.keywords)


def write_source_head(table: StagedTable) -> list[str]:
    """Return the source's own item of the sources YAML, up to its tables."""
    told = f"The database behind {table.spec.source}, as the engine loaded it; loads that failed a gate and quarantined rows are not in it."
    return [
        f"- name: {table.spec.source}",
        f"  description: {sentence(told)}",
        f"  schema: raw_{table.spec.source}",
        "  tables:",
    ]


def write_source_table(table: StagedTable) -> list[str]:
    """Return the raw table's item of the sources YAML, its dash in column 0."""
    spec, lines = table.spec, [f"- name: {scalar(table.name)}"]
    identifier = write_raw(spec.name, table.keywords)
    if identifier != table.name:
        # dbt puts quotes around an identifier if it is told to, and does not look inside.
        lines.append(f"  identifier: {scalar(identifier.removeprefix(chr(34)).removesuffix(chr(34)))}")
        lines += ["  quoting: {identifier: true}"] if identifier.startswith('"') else []
    dropped = [name for name, mask in spec.masks.items() if mask == "drop"]
    left_out = f"Not loaded: {', '.join(dropped)}." if dropped else ""
    told = " ".join(part for part in (_as_sentence(table.comment) or f"{spec.schema}.{spec.name} of {spec.source}.", left_out) if part)
    lines += [
        f"  description: {sentence(plain_jinja(told))}",
        f"  config: {{meta: {{dagster: {{asset_key: [raw_{spec.source}, {scalar(make_asset_name(spec.name))}]}}}}}}",
        "  columns:",
    ]
    lines += [f"    {write_source_column(table, staged)}" for staged in table.columns]
    return [*lines, *(f"    {write_load_column(name, told)}" for name, told in describe_load(spec))]


def write_load_column(name: str, told: str) -> str:
    """Return the item of one of the engine's columns in the sources YAML, its dash in column 0."""
    return f"- {{name: {name}, description: {_in_flow(told)}}}"


def write_source_column(table: StagedTable, staged: StagedColumn) -> str:
    """Return a raw column's item of the sources YAML, its dash in column 0."""
    description = _describe(table, staged)
    described = f", description: {_in_flow(description)}" if description else ""
    return f"- {{name: {scalar(plain_jinja(staged.column.name))}{described}}}"


def write_model_entry(table: StagedTable) -> list[str]:
    """Return the model's item of the models YAML: its grain, what is known of its columns, and that its key is one."""
    grain = f"One row per {' and '.join(table.key)}." if table.key else "No key: rows may repeat."
    told = _as_sentence(table.comment) or f"{table.spec.schema}.{table.spec.name} of {table.spec.source}."
    told = " ".join([told, grain, *([deleted.LEFT_OUT] if table.spec.marks_deleted else [])])
    lines = [f"- name: {table.model}", f"  description: {sentence(plain_jinja(told))}"]
    columns = [f"    {line}" for staged in table.columns for line in write_model_column(table, staged)]
    lines += ["  columns:", *columns] if columns else []
    if len(table.key) > 1:
        lines += [
            "  data_tests:",
            "    - unique_combination:",
            f"        name: {table.model}_key_is_unique",
            f"        arguments: {{columns: {flow(table.key)}}}",
        ]
    return lines


def write_model_column(table: StagedTable, staged: StagedColumn) -> list[str]:
    """Return a column's item of the models YAML, its dash in column 0; nothing for a column of which nothing is known."""
    description, is_key = _describe(table, staged), staged.name in table.key
    if not description and not is_key:
        return []
    tests = ["unique", "not_null"] if len(table.key) == 1 else ["not_null"]
    return [
        f"- name: {staged.name}",
        *([f"  description: {sentence(plain_jinja(description))}"] if description else []),
        *([f"  data_tests: [{', '.join(tests)}]"] if is_key else []),
    ]


def _describe(table: StagedTable, staged: StagedColumn) -> str:
    """Return what is known of a column: the source's comment, and what this project made of it."""
    name, parts = staged.column.name, [_as_sentence(staged.column.comment)]
    if name in table.spec.key and not parts[0]:
        parts.append("Key." if len(table.spec.key) == 1 else "Part of the key.")
    if table.spec.masks.get(name) == "hmac":
        parts.append("A keyed hash (hex): equal values have equal hashes, and the value itself never leaves the source.")
    return " ".join(part for part in parts if part)


def _as_sentence(text: str | None) -> str:
    told = " ".join((text or "").split())
    return told if not told or told.endswith((".", "!", "?")) else f"{told}."


def _in_flow(text: str) -> str:
    return sentence(plain_jinja(text))
