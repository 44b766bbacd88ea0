"""MERGE: DuckDB's own, after Snowflake's question whether a row of the target is matched by more than one row of the source."""

from typing import TYPE_CHECKING, Any

from sqlglot import Expr, exp

from tests.snowflake.double.errors import SqlError, unparsed
from tests.snowflake.double.lengths import check_lengths
from tests.snowflake.double.locks import Mode
from tests.snowflake.double.names import quote
from tests.snowflake.double.transactions import Statement
from tests.snowflake.double.translate import translate
from tests.snowflake.double.wire import MERGE, Result, make_result

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_WORDS = {"INSERT": "inserted", "UPDATE": "updated", "DELETE": "deleted"}


def run(session: "Session", expression: exp.Merge, parameters: dict[str, Any]) -> Result:
    from tests.snowflake.double.session import target_of

    target = session.place.stored(target_of(expression, session.place))
    translated = translate(expression, session.place)
    whens = _whens(translated.expression)
    for when in whens:
        if when.args.get("source"):
            raise unparsed("syntax error: unexpected 'BY'")  # Snowflake has no WHEN NOT MATCHED BY SOURCE
        _unqualify(when.args["then"])
    reads = frozenset(translated.reads)
    if any(when.args.get("matched") for when in whens):
        ask = Statement(_ambiguity(translated.expression, whens), parameters, reads, frozenset({target}), Mode.CHANGE)
        if session.transaction.look(ask):
            raise SqlError(100090, "42P18", "Duplicate row detected during DML action")
    merge = Statement(f"{translated.sql} returning merge_action", parameters, reads, frozenset({target}), Mode.CHANGE)
    (actions,) = session.transaction.write([merge], lambda: check_lengths(session.duck, target))
    done = [action for (action,) in actions]
    kinds = [kind for kind in _WORDS if any(_kind(when) == kind for when in whens)]
    counts = tuple(done.count(kind) for kind in kinds)
    return make_result({f"number of rows {_WORDS[kind]}": "number" for kind in kinds}, [counts], MERGE)


def _whens(merge: Expr) -> list[Expr]:
    whens = merge.args["whens"]
    return list(whens.expressions if isinstance(whens, exp.Whens) else whens)


def _kind(when: Expr) -> str:
    then = when.args["then"]
    return then.key.upper() if isinstance(then, (exp.Insert, exp.Update)) else str(then.name).upper()


def _unqualify(then: Expr) -> None:
    """DuckDB wants the columns that are set by their name alone."""
    if isinstance(then, exp.Update):
        for assignment in then.expressions:
            assignment.this.set("table", None)
    if isinstance(then, exp.Insert) and isinstance(then.this, Expr):
        for column in then.this.find_all(exp.Column):
            column.set("table", None)


def _ambiguity(merge: Expr, whens: list[Expr]) -> str:
    """SQL for rows of the target that would be updated, and that more than one row of the source wants to change."""
    target = merge.this
    cases = "".join(
        f" when {condition.sql('duckdb') if (condition := when.args.get('condition')) else 'true'} then '{_kind(when)}'"
        for when in whens
        if when.args.get("matched")
    )
    rowid = f"{quote(target.alias_or_name)}.rowid"
    return (
        f"select 1 from (select {rowid} as place, case{cases} end as action from {target.sql('duckdb')} join"
        f" {merge.args['using'].sql('duckdb')} on {merge.args['on'].sql('duckdb')}) group by place"
        " having count(action) > 1 and count(*) filter (action = 'UPDATE') > 0 limit 1"
    )
