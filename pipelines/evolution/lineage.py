"""Which columns a model's columns are made of, from its SQL. Not here: what a change of one of them means (``impact``).

sqlglot is slow to import, so this module is imported by whoever needs it, when it is needed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import jinja2
from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from pipelines.evolution.render import Manifest, adapter_of, relation_of, render_model

Relation = tuple[str, str]  # schema and name, in lower case
Leaf = tuple[Relation, str]  # a column of one
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod)
_WRAPPING = (exp.Alias, exp.Paren)


@dataclass(frozen=True)
class Origin:
    """What a column is made of: all that it reads, what it is NULL without, and the column that it is, unchanged."""

    reads: frozenset[Leaf] = frozenset()
    is_null_with: frozenset[Leaf] = frozenset()
    same_as: Leaf | None = None

    def merge(self, other: "Origin") -> "Origin":
        """Return the origin of what is made of both."""
        return Origin(self.reads | other.reads, self.is_null_with | other.is_null_with)


@dataclass(frozen=True)
class Traced:
    """A query's columns, and what decides which rows it has. ``stars`` are relations of which every column passes."""

    columns: Mapping[str, Origin] = field(default_factory=dict)
    rows: frozenset[Leaf] = frozenset()
    stars: frozenset[Relation] = frozenset()

    def origin(self, column: str) -> Origin:
        """Return a column's origin, through stars too."""
        return self.columns.get(column) or _merge(_leaf(relation, column) for relation in self.stars)


class Untraceable(Exception):
    """A model's SQL could not be read."""


def trace_models(manifest: Manifest, models: Iterable[str], raw: Mapping[Relation, Iterable[str]]) -> Mapping[str, Traced]:
    """Return what each of the ``models`` (ids, parents first) is made of; those that cannot be read are left out.

    ``raw`` has the columns of raw tables; of other parents those that the manifest describes are taken.
    """
    known: dict[Relation, list[str]] = {relation_of(node): list(node.get("columns") or {}) for node in manifest["sources"].values()}
    known |= {relation: list(columns) for relation, columns in raw.items()}
    traced: dict[str, Traced] = {}
    for key in models:
        node = manifest["nodes"][key]
        try:
            traced[key] = _trace_model(manifest, node, known)
        except Untraceable:
            continue
        if not traced[key].stars:
            known[relation_of(node)] = list(traced[key].columns)
    return traced


def _trace_model(manifest: Manifest, node: Mapping[str, Any], known: Mapping[Relation, list[str]]) -> Traced:
    if node.get("language") == "python":
        raise Untraceable(node["name"])
    parents = {relation_of(manifest["nodes"].get(key) or manifest["sources"][key]) for key in node["depends_on"]["nodes"]}
    dialect = adapter_of(manifest)
    compiled = node.get("compiled_code") if not node.get("extra_ctes") else None  # with ephemeral parents inside it hides them
    rendered = _render(manifest, node)
    # DuckDB's words last: calls of dbt's own macros stand in what was rendered here, and it takes any function.
    for text, spoken in ((compiled, dialect), (rendered, dialect), (rendered, "duckdb")):
        try:
            if text:
                return _trace_sql(text, spoken, known, parents)
        except (SqlglotError, Untraceable, RecursionError):
            continue
    raise Untraceable(node["name"])


def _render(manifest: Manifest, node: Mapping[str, Any]) -> str | None:
    try:
        return render_model(manifest, node)
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError):
        return None


def _trace_sql(text: str, dialect: str, known: Mapping[Relation, list[str]], parents: set[Relation]) -> Traced:
    tree = parse_one(text, dialect=dialect)
    if not isinstance(tree, exp.Query):
        raise Untraceable("no query")
    tables = list(tree.find_all(exp.Table))
    if parents - {_relation(table) for table in tables}:
        raise Untraceable("a parent is hidden in what could not be rendered")
    schema: dict[str, Any] = {}
    for (group, name), columns in known.items():
        if columns:
            schema.setdefault(group, {})[name] = dict.fromkeys(columns, "unknown")
    for table in tables:
        table.set("catalog", None)
    # As DuckDB has names, in small letters in quotes or not: the models say the same on every warehouse.
    qualified = qualify(tree, dialect="duckdb", schema=schema, validate_qualify_columns=False, quote_identifiers=False)
    root = build_scope(qualified)
    if root is None:
        raise Untraceable("no query")
    return _Tracer().trace(root)


class _Tracer:
    """Traces scopes, each once."""

    def __init__(self) -> None:
        self._known: dict[int, Traced] = {}

    def trace(self, scope: Scope) -> Traced:
        """Return the columns of a scope's query."""
        if id(scope) not in self._known:
            self._known[id(scope)] = Traced()  # a recursive query reads itself: what it adds is read by its first part too
            self._known[id(scope)] = self._trace(scope)
        return self._known[id(scope)]

    def _trace(self, scope: Scope) -> Traced:
        if isinstance(scope.expression, exp.SetOperation):
            return _unite([self.trace(part) for part in scope.set_operation_scopes])
        if not isinstance(scope.expression, exp.Select):
            read = self._read(scope.expression.find_all(exp.Column), scope)
            return Traced(dict.fromkeys(scope.expression.alias_column_names, read), read.reads)
        select, columns, stars = scope.expression, {}, set()
        for projection in select.expressions:
            if projection.is_star:
                stars |= self._stars(scope)
            else:
                columns[projection.alias_or_name.lower()] = self._origin(projection, scope)
        return Traced(columns, self._rows(select, scope), frozenset(stars))

    def _stars(self, scope: Scope) -> set[Relation]:
        tables = [source for source in _selected(scope) if isinstance(source, exp.Table)]
        inner = [self.trace(source).stars for source in _selected(scope) if isinstance(source, Scope)]
        return {_relation(table) for table in tables}.union(*inner)

    def _origin(self, node: exp.Expr, scope: Scope) -> Origin:
        """Return what an expression of a select list is made of."""
        read = self._read_all(node, scope)
        if isinstance(node, exp.Column):
            return self._resolve(node, scope)
        if isinstance(node, _WRAPPING):
            return self._origin(node.this, scope)
        if isinstance(node, (exp.Cast, exp.TryCast, exp.Neg)):
            return Origin(read.reads, self._origin(node.this, scope).is_null_with)
        if isinstance(node, _ARITHMETIC):
            parts = self._origin(node.left, scope), self._origin(node.right, scope)
            return Origin(read.reads, parts[0].is_null_with | parts[1].is_null_with)
        return Origin(read.reads)

    def _rows(self, select: exp.Select, scope: Scope) -> frozenset[Leaf]:
        """Return the columns that decide which rows there are: filters, joins, groups, of the query itself and of those it reads."""
        found: frozenset[Leaf] = frozenset()
        for name, value in select.args.items():
            is_order = name == "order" and not select.args.get("limit")
            is_rows = name not in ("expressions", "with", "with_", "from", "from_") and not is_order
            for part in (value if isinstance(value, list) else [value]) if is_rows else ():
                found |= self._read_all(part, scope).reads if isinstance(part, exp.Expr) else frozenset()
        if select.args.get("distinct"):
            found |= _merge(self._origin(projection, scope) for projection in select.expressions if not projection.is_star).reads
        return found.union(*(self.trace(source).rows for source in _selected(scope) if isinstance(source, Scope)))

    def _read_all(self, node: exp.Expr, scope: Scope) -> Origin:
        """Return all that an expression reads, its subqueries too."""
        read = self._read((column for column in node.find_all(exp.Column) if column.parent_select is scope.expression), scope)
        for inner in scope.subquery_scopes:
            if any(part is inner.expression for part in node.walk()):
                traced = self.trace(inner)
                read = read.merge(Origin(_merge(traced.columns.values()).reads | traced.rows))
        return read

    def _read(self, columns: Iterable[exp.Column], scope: Scope) -> Origin:
        return _merge(self._resolve(column, scope) for column in columns)

    def _resolve(self, column: exp.Column, scope: Scope) -> Origin:
        source, name = scope.sources.get(column.table), column.name.lower()
        if isinstance(source, Scope):
            return self.trace(source).origin(name)
        if isinstance(source, exp.Table):
            return _leaf(_relation(source), name)
        if scope.parent and column.table:  # a correlated subquery reads the query around it
            return self._resolve(column, scope.parent)
        # Not qualified: any of the sources may have it.
        inner = [self.trace(found).origin(name) for found in _selected(scope) if isinstance(found, Scope)]
        tables = [_leaf(_relation(found), name) for found in _selected(scope) if isinstance(found, exp.Table)]
        return Origin(_merge([*inner, *tables]).reads)


def _selected(scope: Scope) -> list[exp.Expr | Scope]:
    """Return what a query reads itself: not the CTEs that it only could."""
    return [source for _, source in scope.selected_sources.values()]


def _unite(parts: list[Traced]) -> Traced:
    named = [list(part.columns.items()) for part in parts]
    columns = {}
    for number, (name, origin) in enumerate(named[0]):
        others = [part[number][1] for part in named[1:] if number < len(part)]
        columns[name] = reduce(Origin.merge, others, Origin(origin.reads, origin.is_null_with))
    rows = frozenset[Leaf]().union(*(part.rows for part in parts))
    return Traced(columns, rows, frozenset[Relation]().union(*(part.stars for part in parts)))


def _merge(origins: Iterable[Origin]) -> Origin:
    found = list(origins)
    return found[0] if len(found) == 1 else reduce(Origin.merge, found, Origin())


def _leaf(relation: Relation, column: str) -> Origin:
    leaf = (relation, column)
    return Origin(frozenset({leaf}), frozenset({leaf}), leaf)


def _relation(table: exp.Table) -> Relation:
    return table.db.lower(), table.name.lower()
