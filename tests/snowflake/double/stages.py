"""Stages: folders of files. PUT is done by the connector itself, which is told the folder; Snowflake would tell it a bucket."""

import glob
import hashlib
import re
import shutil
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

from tests.snowflake.double.errors import NotEmulated, SqlError, existing, unparsed
from tests.snowflake.double.metadata import read_metadata
from tests.snowflake.double.names import decode, parse_name, quote
from tests.snowflake.double.wire import OTHER, Result, done, make_result

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_PART = r'(?:"(?:[^"]|"")*"|[\w$]+)'
PLACE = rf"'?@(~|(?:{_PART}\.)*%?{_PART})(/[^\s';)]*|(?<=')/[^']*)?'?"
_REFERENCE = re.compile(PLACE + r"$")
_CREATE = re.compile(
    rf"create\s+(or\s+replace\s+)?((?:temp|temporary)\s+)?stage\s+(if\s+not\s+exists\s+)?({_PART}(?:\.{_PART})*)\s*(.*)$", re.I | re.S
)
_DROP = re.compile(rf"drop\s+stage\s+(if\s+exists\s+)?({_PART}(?:\.{_PART})*)$", re.I)
_PUT = re.compile(r"put\s+('file://[^']*'|file://\S+)\s+('@[^']*'|@\S+)\s*(.*)$", re.I | re.S)


@dataclass(frozen=True)
class Location:
    """A place in a stage: its folder, the path in it, and the stage's name as it stands before the names of files."""

    folder: Path
    path: str
    name: str

    def files(self) -> list[Path]:
        """The files whose path in the stage begins with ``path``: a prefix, not a folder, as on Snowflake."""
        found = [file for file in self.folder.rglob("*") if file.is_file()]
        return sorted(file for file in found if str(file.relative_to(self.folder)).startswith(self.path))

    def staged_name(self, file: Path) -> str:
        return "/".join(filter(None, [self.name, str(file.relative_to(self.folder))]))


def is_about_stages(sql: str) -> bool:
    return bool(re.match(r"(put|get|list|ls|remove|rm)\b|(create|drop)\s+(or\s+replace\s+)?(temp\w*\s+)?stage\b", sql, re.I))


def run(session: "Session", sql: str) -> Result:
    word = sql.split()[0].upper()
    if found := _CREATE.match(sql):
        return _create(session, found)
    if found := _DROP.match(sql):
        return _drop(session, found)
    if word == "PUT":
        return _put(session, sql)
    if word in ("LIST", "LS"):
        return _list(locate(session, sql.split(maxsplit=1)[1]))
    if word in ("REMOVE", "RM"):
        return _remove(locate(session, sql.split(maxsplit=1)[1]))
    raise NotEmulated(word)


def locate(session: "Session", reference: str) -> Location:
    """Return the place that ``@"schema"."stage"/path`` names, or raise if there is no such stage."""
    found = _REFERENCE.match(reference.strip())
    if not found:
        raise unparsed(f"syntax error: unexpected '{reference}'")
    stages, path = session.store.folder / "stages", (found[2] or "/")[1:]
    if found[1] == "~":
        return Location(stages / "~", path, "")
    is_of_table = "%" in found[1]
    whole = session.place.complete(parse_name(found[1].replace("%", "")))
    if is_of_table:
        known = read_metadata(session.duck, session.place.stored(whole)).get("id")
        if not known:
            raise _no_stage(".".join(map(decode, whole)))
        return Location(stages / whole[0] / "%" / known, path, "")
    if whole in session.stages:
        return Location(stages / whole[0] / whole[1] / f"{whole[2]} {session.number}", path, decode(whole[2]).lower())
    if whole[0] not in session.store.databases or not _is_known(session, whole):
        raise _no_stage(".".join(map(decode, whole)))
    return Location(stages / whole[0] / whole[1] / whole[2], path, decode(whole[2]).lower())


def _no_stage(name: str) -> SqlError:
    return SqlError(2003, "02000", f"SQL compilation error:\nStage '{name}' does not exist or not authorized.")


def _is_known(session: "Session", whole: tuple[str, str, str]) -> bool:
    sql = f"select count(*) from {quote(whole[0])}._daybreak.stages where schema_name = ? and name = ?"
    with session.store.duck.cursor() as aside:
        return aside.execute(sql, list(whole[1:])).fetchall() != [(0,)]


def _create(session: "Session", found: re.Match[str]) -> Result:
    replace, temporary, lenient, name, rest = found.groups()
    if re.search(r"\burl\s*=", rest, re.I):
        raise NotEmulated("external stages")
    whole = session.place.complete(parse_name(name))
    known = whole in session.stages if temporary else _is_known(session, whole)
    if known and lenient:
        session.transaction.commit()
        return done(f"{decode(whole[2])} already exists, statement succeeded.")
    if known and not replace:
        raise existing(decode(whole[2]))
    if temporary:
        session.transaction.commit()
        session.stages.add(whole)
    elif not known:
        sql = f"insert into {quote(whole[0])}._daybreak.stages values (?, ?)"
        session.transaction.define({whole}, lambda: session.duck.execute(sql, list(whole[1:])))
    folder = locate(session, f"@{name}").folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return done(f"Stage area {decode(whole[2])} successfully created.")


def _drop(session: "Session", found: re.Match[str]) -> Result:
    whole = session.place.complete(parse_name(found[2]))
    try:
        folder = locate(session, f"@{found[2]}").folder
    except SqlError:
        if found[1]:
            session.transaction.commit()
            return done("Drop statement executed successfully.")
        raise
    if whole in session.stages:
        session.transaction.commit()
        session.stages.remove(whole)
    else:
        sql = f"delete from {quote(whole[0])}._daybreak.stages where schema_name = ? and name = ?"
        session.transaction.define({whole}, lambda: session.duck.execute(sql, list(whole[1:])))
    shutil.rmtree(folder, ignore_errors=True)
    return done(f"{decode(whole[2])} successfully dropped.")


def _put(session: "Session", sql: str) -> Result:
    found = _PUT.match(sql)
    if not found:
        raise unparsed(f"syntax error in {sql}")
    place = locate(session, found[2])
    options = {name.upper(): value.upper() for name, value in re.findall(r"(\w+)\s*=\s*(\w+)", found[3])}
    folder = place.folder / place.path
    if not folder.resolve().is_relative_to(place.folder.resolve()):
        raise unparsed("a path that leaves the stage")
    folder.mkdir(parents=True, exist_ok=True)
    sources = [Path(name) for name in glob.glob(found[1].strip("'").removeprefix("file://"))]
    if options.get("OVERWRITE") != "TRUE" and any((folder / source.name).exists() for source in sources):
        raise NotEmulated("PUT without OVERWRITE = TRUE of a file that is there, which Snowflake skips and this connector would replace")
    upload = {
        "command": "UPLOAD",
        "stageInfo": {"locationType": "LOCAL_FS", "location": str(folder), "creds": {}},
        "src_locations": [found[1].strip("'").removeprefix("file://")],
        "parallel": int(options.get("PARALLEL", 4)),
        "autoCompress": options.get("AUTO_COMPRESS", "TRUE") == "TRUE",
        "overwrite": options.get("OVERWRITE", "FALSE") == "TRUE",
        "sourceCompression": options.get("SOURCE_COMPRESSION", "auto_detect").lower(),
    }
    return Result(done().table, ["VARCHAR"], OTHER, upload)


def _list(place: Location) -> Result:
    rows = [
        (place.staged_name(file), file.stat().st_size, etag(file), formatdate(file.stat().st_mtime, usegmt=True)) for file in place.files()
    ]
    return make_result({"name": "text", "size": "number", "md5": "text", "last_modified": "text"}, rows, OTHER)


def _remove(place: Location) -> Result:
    rows = [(place.staged_name(file), "removed") for file in place.files()]
    for file in place.files():
        file.unlink()
    return make_result({"name": "text", "result": "text"}, rows, OTHER)


def etag(file: Path) -> str:
    return hashlib.md5(file.read_bytes()).hexdigest()
