"""Functions that neither sqlglot nor fakesnow write as DuckDB's."""

from datetime import datetime

from sqlglot import Expr, exp

_FACTS = ("ROLE", "WAREHOUSE", "DATABASE", "SCHEMA", "ACCOUNT", "SESSION", "REGION", "USER", "VERSION", "AVAILABLE_ROLES", "CLIENT")


def rewrite_function(node: Expr, facts: dict[str, str], now: datetime | None) -> Expr:
    """Return ``node``, or what DuckDB calls it."""
    name = (node.name if isinstance(node, exp.Anonymous) else node.sql_name() if isinstance(node, exp.Func) else "").upper()
    if name == "LAST_QUERY_ID":
        return _text(facts.get("LAST_QUERY_ID"))
    if name.startswith("CURRENT_") and name.removeprefix("CURRENT_") in _FACTS:
        return _text(facts.get(name.removeprefix("CURRENT_")))
    if isinstance(node, exp.Div) and not (isinstance(node.expression, exp.Literal) and float(node.expression.name)):
        # DuckDB divides by zero in silence.
        divisor = node.expression
        failed = exp.Anonymous(this="error", expressions=[exp.Literal.string("Division by zero")])
        zero = exp.EQ(this=exp.paren(divisor.copy()), expression=exp.Literal.number(0))
        node.set("expression", exp.paren(exp.Case(ifs=[exp.If(this=zero, true=failed)], default=divisor.copy())))
        return node
    if now is not None:
        return _at(node, now)
    return node


def _at(node: Expr, now: datetime) -> Expr:
    if isinstance(node, exp.CurrentTimestamp):
        return exp.cast(exp.Literal.string(now.isoformat()), exp.DataType.Type.TIMESTAMPTZ)
    return node


def _text(value: str | None) -> Expr:
    return exp.Literal.string(value) if value is not None else exp.Null()
