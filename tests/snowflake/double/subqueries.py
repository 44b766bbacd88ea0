"""Correlated subqueries: DuckDB evaluates every one, Snowflake those whose correlation it can make into a join.

Those are EXISTS, IN, ANY, ALL and a single aggregate, each a part of a WHERE and not of an OR in it, in which columns of the outer query
stand only in the subquery's own WHERE, and there in equalities: one side is of the outer query, the other of the subquery. Source: the
reference of subquery operators, and the reports of "Unsupported subquery type cannot be evaluated". Whether Snowflake evaluates more of
them is not documented, so the rest is refused.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlglot import Expr, exp

from tests.snowflake.double.errors import NotEmulated, SqlError, missing_column
from tests.snowflake.double.names import decode

Columns = set[str] | None  # None: not known, and so perhaps any
_FLATTENED = {"SEQ", "KEY", "PATH", "INDEX", "VALUE", "THIS"}
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
_TESTS = (exp.And, exp.Not, exp.Paren, exp.Subquery, exp.Exists, exp.In, exp.Any, exp.All, *_COMPARISONS)
_TERMS = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Neg)
_OF_THE_WHOLE = ("limit", "offset", "qualify", "having", "group", "order")


def refuse_subqueries(root: Expr, columns_of: Callable[[list[str]], Columns]) -> None:
    """Raise for a subquery that Snowflake would not evaluate; ``columns_of`` knows the columns of a table by the parts of its name."""
    query = _bare(root.expression if isinstance(root, exp.Insert) else root)
    if isinstance(query, (exp.Query, exp.DML)) and any(inner is not query for inner in query.find_all(exp.Select)):
        _Reader(columns_of).free(query)


@dataclass
class _Reader:
    """Finds the columns of a query that it takes from around itself, and judges its subqueries on the way."""

    columns_of: Callable[[list[str]], Columns]
    sources: dict[int, dict[str, Columns]] = field(default_factory=dict)

    def free(self, query: Expr) -> list[exp.Column]:
        """Return the columns that no table of ``query`` has."""
        if isinstance(query, exp.SetOperation):
            return [*self._of_ctes(query), *self.free(_bare(query.this)), *self.free(_bare(query.expression))]
        sources = self._sources(query)
        found = self._of_ctes(query)
        for node in _own_nodes(query):
            if isinstance(node, exp.Column):
                if not _has(sources, node) and not _is_alias(query, node):
                    found.append(node)
            elif isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
                found += self._of_subquery(query, sources, node)
        return found

    def _of_ctes(self, query: Expr) -> list[exp.Column]:
        with_ = query.args.get("with_")
        return [column for cte in (with_.expressions if with_ else ()) for column in self.free(_bare(cte.this))]

    def _of_subquery(self, outer: Expr, sources: dict[str, Columns], query: Expr) -> list[exp.Column]:
        columns = self.free(query)
        taken = [column for column in columns if _has(sources, column, surely=True)]
        if taken and (place := _place_in_from(query)):
            if isinstance(place, exp.Lateral):
                raise NotEmulated("LATERAL of a query that takes columns of what stands before it")
            raise missing_column(decode(taken[0].name))
        if taken and not (_is_joinable(outer, query) and _is_equal(query, taken)):
            raise SqlError(2031, "42601", "SQL compilation error:\nUnsupported subquery type cannot be evaluated")
        return [column for column in columns if all(column is not other for other in taken)]

    def _sources(self, query: Expr) -> dict[str, Columns]:
        if id(query) not in self.sources:
            self.sources[id(query)] = {}  # of a CTE that reads itself
            self.sources[id(query)] = {name: columns for table in _tables(query) for name, columns in self._of_table(table)}
        return self.sources[id(query)]

    def _of_table(self, table: Expr) -> Iterator[tuple[str, Columns]]:
        alias = table.args.get("alias")
        named = {column.name for column in alias.args.get("columns") or ()} if isinstance(alias, exp.TableAlias) else set()
        match table:
            case exp.Table() if isinstance(table.this, exp.Identifier):
                parts = [part.name for part in table.parts]
                cte = _find_cte(table) if len(parts) == 1 else None
                known = self._output(cte) if cte is not None else self.columns_of(parts)
            case exp.Subquery() | exp.Lateral() if isinstance(table.this, (exp.Query, exp.Subquery)):
                known = self._output(_bare(table.this))
            case exp.Lateral() | exp.TableFromRows() | exp.Table() if isinstance(table.this, exp.Explode):
                known = _FLATTENED
            case exp.Values():
                row = table.expressions[0]
                known = {f"COLUMN{number}" for number in range(1, len(row.expressions if isinstance(row, exp.Tuple) else [row]) + 1)}
            case _:
                known = None
        yield table.alias_or_name, named or known

    def _output(self, query: Expr) -> Columns:
        cte = query.parent
        if isinstance(cte, exp.CTE) and cte.args["alias"].args.get("columns"):
            return {column.name for column in cte.args["alias"].args["columns"]}
        while isinstance(query, exp.SetOperation):
            query = _bare(query.this)
        if not isinstance(query, exp.Select):
            return None
        names: set[str] = set()
        for projection in query.expressions:
            if projection.is_star:
                if any(columns is None for columns in self._sources(query).values()):
                    return None
                names |= {name for columns in self._sources(query).values() for name in columns or ()}
            else:
                names.add(projection.alias_or_name)
        return names


def _bare(query: Expr) -> Expr:
    while isinstance(query, (exp.Subquery, exp.Paren)):
        query = query.this
    return query


def _own_nodes(query: Expr) -> Iterator[Expr]:
    """Every node of a query; of the queries in it, the root alone, and of its CTEs nothing."""
    ahead = [node for node in query.iter_expressions() if not isinstance(node, exp.With)]
    while ahead:
        node = ahead.pop()
        yield node
        if not isinstance(node, exp.Query) or isinstance(node, exp.Subquery):
            ahead += node.iter_expressions()


def _tables(query: Expr) -> Iterator[Expr]:
    """The tables that a statement names: of FROM, of joins, and the target of DML."""
    from_, using = query.args.get("from_"), query.args.get("using")
    first = [from_.this] if from_ else []
    if isinstance(query, (exp.Update, exp.Delete, exp.Merge)):
        first += [query.this, *(using if isinstance(using, list) else [using] if using else [])]
    ahead = [*first, *(join.this for join in query.args.get("joins") or ()), *(query.args.get("laterals") or ())]
    while ahead:
        table = ahead.pop()
        ahead += [join.this for join in table.args.get("joins") or ()]
        if isinstance(table, (exp.Paren, exp.Subquery)) and isinstance(table.this, exp.Table):
            ahead.append(table.this)
        else:
            yield table


def _find_cte(table: exp.Table) -> Expr | None:
    above: list[Expr] = [table]
    while parent := above[-1].parent:
        above.append(parent)
        with_ = parent.args.get("with_")
        for cte in with_.expressions if with_ else ():
            if not with_.recursive and any(cte is node for node in above):
                break  # it sees those before it
            if cte.alias == table.name:
                return _bare(cte.this)
    return None


def _has(sources: dict[str, Columns], column: exp.Column, *, surely: bool = False) -> bool:
    """Return whether one of ``sources`` has the column; ``surely``: and it is not only that their columns are not known."""
    if column.table:
        return column.table in sources
    return any(column.name in columns if columns is not None else not surely for columns in sources.values())


def _is_alias(query: Expr, column: exp.Column) -> bool:
    return not column.table and column.name in {p.alias for p in query.expressions if isinstance(p, exp.Alias)}


def _place_in_from(query: Expr) -> Expr | None:
    node = query
    while isinstance(node.parent, (exp.Subquery, exp.Paren, exp.SetOperation)):
        node = node.parent
    return node.parent if isinstance(node.parent, (exp.From, exp.Join, exp.Lateral, exp.Merge, exp.Delete)) else None


def _is_joinable(outer: Expr, query: Expr) -> bool:
    """Whether the subquery stands where Snowflake can make a join of it, and is of a kind that it can."""
    node, terms = query.parent, _TESTS
    if not isinstance(query, exp.Select) or any(query.args.get(name) for name in _OF_THE_WHOLE):
        return False
    if not isinstance(node, exp.Exists):
        holder = node
        while isinstance(holder, (exp.Subquery, exp.Paren)):
            holder = holder.parent
        if not isinstance(holder, (exp.In, exp.Any, exp.All)):
            if len(query.expressions) != 1 or not any(isinstance(part, exp.AggFunc) for part in _own_nodes(query)):
                return False
            terms = (*_TESTS, *_TERMS)
    while node is not None and not isinstance(node, exp.Where):
        if not isinstance(node, terms):
            return False
        node = node.parent
    return node is not None and node.parent is outer


def _is_equal(query: Expr, taken: list[exp.Column]) -> bool:
    """Whether all columns of the outer query are sides of equalities with columns of the subquery."""
    where = query.args.get("where")
    outer = {id(column) for column in taken}
    allowed: set[int] = set()
    for condition in _conjuncts(where.this) if where else ():
        if isinstance(condition, exp.EQ):
            sides = [[id(column) for column in side.find_all(exp.Column)] for side in (condition.this, condition.expression)]
            of_outer = [bool(side) and outer.issuperset(side) for side in sides]
            of_inner = [bool(side) and outer.isdisjoint(side) for side in sides]
            if (of_outer[0] and of_inner[1]) or (of_outer[1] and of_inner[0]):
                allowed.update(sides[0], sides[1])
    return outer <= allowed


def _conjuncts(condition: Expr) -> Iterator[Expr]:
    bare = condition.unnest()
    if isinstance(bare, exp.And):
        yield from _conjuncts(bare.this)
        yield from _conjuncts(bare.expression)
    else:
        yield bare
