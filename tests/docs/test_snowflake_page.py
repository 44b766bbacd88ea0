"""docs/snowflake.md says what the code does: types, options, URLs, error messages, tables."""

import re
from pathlib import Path

import pytest

from pipelines.sources.postgres_types import PgType, arrow_type
from pipelines.warehouses.snowflake_account import OPTIONS, read_url
from pipelines.warehouses.snowflake_dialect import SnowflakeDialect
from pipelines.warehouses.snowflake_limits import BINARY_BYTES, TEXT_BYTES
from pipelines.warehouses.snowflake_swap import SWAPS
from pipelines.warehouses.state_tables import state_ddl

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "snowflake.md").read_text(encoding="utf-8")
CODE = {file: file.read_text(encoding="utf-8") for file in (ROOT / "pipelines").rglob("*.py")}
# What PostgreSQL's catalog calls the types that the page names as SQL does.
CATALOG = {
    "boolean": "bool",
    "smallint": "int2",
    "integer": "int4",
    "bigint": "int8",
    "real": "float4",
    "double precision": "float8",
    "varchar(n)": "varchar",
    "char(n)": "bpchar",
}


def section(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str) -> list[list[str]]:
    """The first table of a section, without its head; a cell may have a | in backticks, but none does."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_type_is_the_one_that_is_made() -> None:
    told = {cells[0]: cells[1] for cells in rows("Types")}
    to = SnowflakeDialect()
    tried = 0
    for named, made in told.items():
        kind = re.match(r"`([A-Z_]+)", made)
        assert kind
        for name in re.findall(r"`([^`]+)`", named):
            if name.startswith("numeric"):
                continue
            type_ = to.type_of(arrow_type(PgType(CATALOG.get(name, name), -1, name)))
            assert made.startswith(f"`{type_.upper()}`"), name
            tried += 1
    assert tried > 15
    precise = to.type_of(arrow_type(PgType("numeric", (10 << 16 | 2) + 4, "numeric(10,2)")))
    assert (precise, told["`numeric(p, s)`, p up to 38, s from 0 to p"]) == ("number(10, 2)", "`NUMBER(p, s)`")
    assert to.type_of(arrow_type(PgType("numeric", -1, "numeric"))) == "varchar"
    assert told["any other `numeric`"].startswith("`VARCHAR`")


def test_what_steps_aside_is_what_the_limits_say() -> None:
    told = " ".join(section("Types").split())
    assert f"a text of more than {TEXT_BYTES >> 20} MiB, and more than {BINARY_BYTES >> 20} MiB of bytes" in told


def test_every_option_of_the_url_is_told_and_no_other() -> None:
    options = section("The URL").partition("All options")[2]
    told = {name for line in options.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    assert told == OPTIONS


@pytest.mark.parametrize("ways", [[cells[1] for cells in rows("The URL")]])
def test_every_way_to_sign_in_is_a_url_that_is_read(ways: list[str]) -> None:
    tried = 0
    for way in ways:
        for options in re.findall(r"`(\w+=[^`]+)`", way):
            read = read_url(f"snowflake://DAYBREAK_SERVICE@myorg-myaccount/ANALYTICS?warehouse=W&role=R&{options}")
            assert set(re.findall(r"(\w+)=", options)) <= read.options.keys()
            tried += 1
    assert tried >= 6


def test_the_url_of_the_first_morning_is_one() -> None:
    (url,) = re.findall(r"export DAYBREAK_WAREHOUSE_URL='([^']+)'", PAGE)
    read = read_url(url)
    set_up = (ROOT / "deploy" / "snowflake" / "setup.sql").read_text(encoding="utf-8")
    assert f"create database if not exists {read.database} " in set_up
    assert f"create user if not exists {read.options['user']}\n" in set_up
    assert f"create warehouse if not exists {read.options['warehouse']} " in set_up
    assert f"grant role {read.options['role']} to user {read.options['user']};" in set_up


def test_the_tables_of_schema_daybreak_are_counted() -> None:
    made = re.findall(r"create transient table if not exists daybreak\.(\w+)", "\n".join([*state_ddl(SnowflakeDialect()), SWAPS]))
    (told,) = [cells[1] for cells in rows("What Daybreak makes, and who owns it") if cells[0] == "`daybreak`"]
    named = re.findall(r"`(\w+)`", told)
    assert set(named) <= set(made)
    assert len(made) == len(named) + {"eight": 8, "nine": 9, "ten": 10}[re.search(r"and (\w+) more", told)[1]]  # type: ignore[index]


@pytest.mark.parametrize(
    "words",
    [
        "is no option of a Snowflake URL",
        "it names no warehouse",
        "does not let Daybreak in:",
        "did not answer",
        "refused the transaction",
        "the load does not balance",
    ],
)
def test_words_of_ours_that_the_page_explains_are_said(words: str) -> None:
    assert words in section("When something is wrong")
    assert any(words in text for text in CODE.values())
