"""GRANT and REVOKE. Who may do what is not kept, so they do nothing, but for who owns a table or a view."""

import re
from typing import TYPE_CHECKING

from tests.snowflake.double.errors import NotEmulated, missing
from tests.snowflake.double.metadata import comment_sql, read_metadata
from tests.snowflake.double.names import decode, parse_name
from tests.snowflake.double.wire import Result, done

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_PART = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_OWNERSHIP = re.compile(
    rf"grant\s+ownership\s+on\s+(table|view)\s+({_PART}(?:\.{_PART})*)\s+to\s+role\s+({_PART})(?:\s+(?:copy|revoke)\s+current\s+grants)?$",
    re.I,
)


def run(session: "Session", sql: str) -> Result:
    found = _OWNERSHIP.match(sql)
    if not found:
        if re.match(r"grant\s+ownership\s+on\s+(all|table|view)\b", sql, re.I):
            raise NotEmulated("GRANT OWNERSHIP of more than one table")
        session.transaction.commit()
        return done()
    kind, role = found[1].upper(), decode(parse_name(found[3])[0])
    table = session.place.complete(parse_name(found[2]))
    stored = session.place.stored(table)

    def give() -> None:
        from tests.snowflake.double.tables import find_kind

        if find_kind(session, stored) != kind:
            raise missing(kind.capitalize(), ".".join(map(decode, table)))
        session.duck.execute(comment_sql(kind, stored, None, {**read_metadata(session.duck, stored), "owner": role}))

    session.transaction.define(set() if stored[0] == "temp" else {stored}, give)
    return done()
