"""Whole numbers that are not negative as hex digits: TO_NUMBER and TO_CHAR with a format of X."""

import re

from sqlglot import Expr, exp

_HEX = re.compile(r"X+", re.I)
_UBIGINT = exp.DataType(this=exp.DataType.Type.USERDEFINED, kind="UBIGINT")


def rewrite_hex(node: Expr) -> Expr:
    """Return ``node`` in DuckDB's words, if it reads or writes hex digits."""
    written = node.args.get("format") if isinstance(node, exp.ToNumber | exp.ToChar) else None
    if not isinstance(written, exp.Literal) or not _HEX.fullmatch(written.name):
        return node
    value = exp.paren(node.this.copy())
    if isinstance(node, exp.ToNumber):
        return exp.cast(exp.cast(exp.DPipe(this=exp.Literal.string("0x"), expression=value), _UBIGINT.copy()), "DECIMAL(38, 0)")
    return exp.Anonymous(this="to_hex", expressions=[exp.cast(value, _UBIGINT.copy())])
