"""A table's staging model and its entries in the YAML beside it, as text. Pure.

The model is the only place that knows the source's own names: a column whose name SQL needs quotes for gets a snake_case
one here. Not here: which files there are and what may be written (``add``).
"""

import re
from collections.abc import Set
from dataclasses import dataclass

from pipelines.discovery.yaml_text import flow, scalar, sentence
from pipelines.names import make_asset_name, make_slug
from pipelines.sync.schema import raw_columns
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

_BARE = re.compile(r"[a-z_][a-z0-9_]*")
_LOAD = (("_load_id", "The load that wrote the row; a key of daybreak.ledger."), ("_loaded_at", "When that load was committed."))


@dataclass(frozen=True)
class StagedColumn:
    """A column that lands, and what the staging model calls it."""

    column: Column
    name: str
    is_bare: bool  # SQL takes it as it is


@dataclass(frozen=True)
class StagedTable:
    """A table as dbt will know it. ``name`` is dbt's word for the raw table, ``model`` for its staging view."""

    spec: TableSpec
    comment: str | None
    columns: tuple[StagedColumn, ...]

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


def stage_table(spec: TableSpec, schema: TableSchema, keywords: Set[str]) -> StagedTable:
    """Return the table with a name for each column that lands; ``keywords`` are what SQL does not take for a column unquoted."""
    landed = raw_columns(spec, schema)
    bare = {column.name for column in landed if _BARE.fullmatch(column.name) and column.name not in keywords}
    taken = {*bare, *(name for name, _ in _LOAD)}
    staged = []
    for column in landed:
        name = column.name if column.name in bare else _find_free(make_slug(column.name), taken, keywords)
        taken.add(name)
        staged.append(StagedColumn(column, name, column.name in bare))
    return StagedTable(spec, schema.comment, tuple(staged))


def _find_free(slug: str, taken: Set[str], keywords: Set[str]) -> str:
    wanted = f"{slug}_value" if slug in keywords else slug
    number, name = 1, wanted
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def write_model(table: StagedTable) -> str:
    """Return the staging model: two CTEs, every column by name."""
    selected = [staged.name if staged.is_bare else f"{_quoted(staged.column.name)} as {staged.name}" for staged in table.columns]
    columns = ",\n        ".join([*selected, *(name for name, _ in _LOAD)])
    return (
        "with\n\n"
        "source as (\n"
        f"    select * from {{{{ source('{table.spec.source}', '{table.name}') }}}}\n"
        "),\n\n"
        "renamed as (\n"
        f"    select\n        {columns}\n    from source\n"
        ")\n\n"
        "select * from renamed\n"
    )


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
    if table.name != spec.name:
        # dbt puts quotes around an identifier and does not look inside.
        lines += [f"  identifier: {scalar(_plain_jinja(spec.name.replace(chr(34), chr(34) * 2)))}", "  quoting: {identifier: true}"]
    dropped = [name for name, mask in spec.masks.items() if mask == "drop"]
    left_out = f"Not loaded: {', '.join(dropped)}." if dropped else ""
    told = " ".join(part for part in (_as_sentence(table.comment) or f"{spec.schema}.{spec.name} of {spec.source}.", left_out) if part)
    lines += [
        f"  description: {sentence(_plain_jinja(told))}",
        f"  config: {{meta: {{dagster: {{asset_key: [raw_{spec.source}, {scalar(make_asset_name(spec.name))}]}}}}}}",
        "  columns:",
    ]
    for staged in table.columns:
        description = _describe(table, staged)
        described = f", description: {_in_flow(description)}" if description else ""
        lines.append(f"    - {{name: {scalar(_plain_jinja(staged.column.name))}{described}}}")
    return [*lines, *(f"    - {{name: {name}, description: {_in_flow(told)}}}" for name, told in _LOAD)]


def write_model_entry(table: StagedTable) -> list[str]:
    """Return the model's item of the models YAML: its grain, what is known of its columns, and that its key is one."""
    grain = f"One row per {' and '.join(table.key)}." if table.key else "No key: rows may repeat."
    told = _as_sentence(table.comment) or f"{table.spec.schema}.{table.spec.name} of {table.spec.source}."
    lines = [f"- name: {table.model}", f"  description: {sentence(_plain_jinja(f'{told} {grain}'))}"]
    columns = [line for staged in table.columns for line in _column_entry(table, staged)]
    lines += ["  columns:", *columns] if columns else []
    if len(table.key) > 1:
        lines += [
            "  data_tests:",
            "    - unique_combination:",
            f"        name: {table.model}_key_is_unique",
            f"        arguments: {{columns: {flow(table.key)}}}",
        ]
    return lines


def _column_entry(table: StagedTable, staged: StagedColumn) -> list[str]:
    description, is_key = _describe(table, staged), staged.name in table.key
    if not description and not is_key:
        return []
    tests = ["unique", "not_null"] if len(table.key) == 1 else ["not_null"]
    return [
        f"    - name: {staged.name}",
        *([f"      description: {sentence(_plain_jinja(description))}"] if description else []),
        *([f"      data_tests: [{', '.join(tests)}]"] if is_key else []),
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
    return sentence(_plain_jinja(text))


def _quoted(name: str) -> str:
    return _plain_jinja('"' + name.replace('"', '""') + '"')


def _plain_jinja(text: str) -> str:
    """Return ``text`` so that Jinja, which dbt sends everything through, gives it back as it is."""
    return re.sub(r"\{[{%#]", lambda found: f"{{{{ '{found.group()}' }}}}", text)
