"""`daybreak discover`: its file loads and syncs as it is, whatever the database looks like; and what it says when it cannot."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from pipelines.catalog.read import read_catalog
from pipelines.cli.main import app
from tests.conftest import Project

pytestmark = pytest.mark.slow

ODD = Path(__file__).with_name("odd_schema.sql")
NORTHWIND = Path(__file__).parents[3] / "shared" / "data" / "northwind.sql"


def daybreak(project: Project, *arguments: str) -> Result:
    """Run the command line on the project; a traceback fails the test."""
    environment = {name: value for name, value in project.settings.environment.items() if name.isupper()}
    done = CliRunner().invoke(app, list(arguments), env=environment)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def discover(project: Project, *options: str) -> str:
    """Discover as the source `shop`, make the project's catalog what was printed, and return it."""
    done = daybreak(project, "discover", "SOURCE_URL", "--source", "shop", *options)
    assert done.exit_code == 0, done.output
    project.tables = yaml.load(done.stdout, Loader=yaml.BaseLoader)["tables"]
    (project.home / "printed").mkdir(exist_ok=True)
    (project.home / "printed" / "shop.yaml").write_text(done.stdout, encoding="utf-8")
    (read,) = read_catalog(project.home / "printed")
    assert [table.name for table in read.tables] == [entry["name"] for entry in project.tables]
    return done.stdout


def sync_as_printed(project: Project, *tables: str) -> None:
    """Sync every table (or these) from the printed file itself, and compare each with the source."""
    project.environment["DAYBREAK_CATALOG"] = str(project.home / "printed")
    for name in tables or [table.name for table in project.settings.sources()[0].tables]:
        result = project.sync(name)
        assert result.outcome == "committed", result
        project.check(name)


@pytest.fixture
def odd(project: Project) -> Project:
    project.run(ODD.read_text(encoding="utf-8"))
    return project


def test_an_odd_schema_syncs_as_it_was_discovered_and_every_table_is_equal(odd: Project) -> None:
    text = discover(odd)
    names = {
        str(name)
        for (name,) in odd.fetch("select relname from pg_class where relkind in ('r', 'p') and relnamespace = 'public'::regnamespace")
    }
    listed = {entry["name"] for entry in odd.tables}
    assert names - listed == {"nothing", "nokey", "ever_2024", "ever_2024_a", "ever_2024_b", "ever_2025"}
    for left_out in (
        "a_copy: a materialized view",
        "a_view: a view",
        "nokey: the warehouse cannot tell it from `Nokey`",
        "nothing: it has no columns",
    ):
        assert f"#   {left_out}" in text
    assert "in 3 partitions" in text
    assert "ever_2024" not in text
    sync_as_printed(odd)


def test_columns_that_the_warehouse_cannot_tell_apart_are_dropped_with_the_reason(odd: Project) -> None:
    text = discover(odd)
    entry = next(entry for entry in odd.tables if entry["name"] == "collide")
    assert set(entry["columns"]) == {"name", "_load_id", "ID"}
    assert "name: {mask: drop} # the warehouse cannot tell it from `Name`" in text


@pytest.mark.skipif(not NORTHWIND.exists(), reason=f"{NORTHWIND} is not here")
def test_northwind_syncs_as_it_was_discovered_and_every_table_is_equal(project: Project) -> None:
    project.run(NORTHWIND.read_text(encoding="utf-8"))
    discover(project)
    assert len(project.tables) == 14
    sync_as_printed(project)


def test_personal_data_are_suggested_in_comments_and_masked_when_asked(odd: Project) -> None:
    text = discover(odd)
    assert "# likely personal: email: {mask: hmac}" in text
    assert not any(mask == {"mask": "hmac"} for entry in odd.tables for mask in entry.get("columns", {}).values())
    discover(odd, "--mask")
    masks = {entry["name"]: entry.get("columns") for entry in odd.tables}
    assert masks["plain"] == {"email": {"mask": "hmac"}}
    assert masks["exotic"] == {"source_address": {"mask": "drop"}}


def test_an_emptied_snapshot_is_held_and_the_last_rows_stay(project: Project) -> None:
    project.run("create table t (id int primary key)", "insert into t values (1)")
    discover(project)
    sync_as_printed(project)
    project.run("delete from t")
    assert project.sync("t").outcome == "held"
    assert project.ask("select count(*) from raw_shop.t") == [(1,)]


def test_a_big_table_cut_by_time_is_partitioned_from_its_first_bound(odd: Project) -> None:
    enlarge = "update pg_class set reltuples = 2e6 where relname = 'ever_2025'"
    odd.run(enlarge)
    text = discover(odd)
    assert "partition: {column: at, by: day, start: 2024-02-03, lookback_days: 2}" in text
    sync_as_printed(odd, "ever")
    odd.run("create table ever_more partition of ever default")
    assert "first day is not known" in discover(odd)
    odd.run("analyze ever", enlarge)
    assert "start: 2023-01-01" in discover(odd)


def test_statistics_of_updates_keep_a_big_table_a_snapshot(odd: Project) -> None:
    odd.run(
        "update ever set at = at + interval '1 second' where v = 'c'", "update pg_class set reltuples = 2e6 where relname = 'ever_2025'"
    )
    assert "1 updates and 0 deletes" in discover(odd)


@pytest.fixture
def reader(project: Project) -> Iterator[str]:
    """A role that may use the schema and nothing else; the project reads as it."""
    database, _, host = project.url.partition("@/")[2].partition("?host=")
    name = f"reader_{database}"
    project.run("create table t (id int primary key, a text, b text)", "insert into t values (1, 'a', 'b')", f"create role {name} login")
    project.environment["SOURCE_URL"] = f"postgresql://{name}@/{database}?host={host}"
    yield name
    project.run(f"drop owned by {name}", f"drop role {name}")


def test_what_may_not_be_read_is_left_out_and_named(project: Project, reader: str) -> None:
    project.run("create table hidden (id int)", "create table secured (id int)", "alter table secured enable row level security")
    project.run(f"grant select (id, b) on t to {reader}", f"grant select on secured to {reader}")
    text = discover(project)
    assert [entry["name"] for entry in project.tables] == ["t"]
    assert "hidden: this user may read none of its columns" in text
    assert "secured: row-level security hides rows" in text
    assert "a: {mask: drop} # this user may not read it" in text


def test_readable_columns_sync_without_the_others(project: Project, reader: str) -> None:
    project.run(f"grant select (id, b) on t to {reader}")
    discover(project)
    project.environment["DAYBREAK_CATALOG"] = str(project.home / "printed")
    assert project.sync("t").outcome == "committed"
    assert project.ask("select id, b from raw_shop.t") == [(1, "b")]


def test_a_schema_that_is_not_there_names_those_that_are(project: Project) -> None:
    project.run("create schema sales", "create table sales.t (id int primary key)", "create schema empty")
    for schema, problem in (("sails", "no schema `sails`"), ("empty", "`empty` has no table"), ("public", "`public` has no table")):
        done = daybreak(project, "discover", "SOURCE_URL", "--schema", schema)
        assert (done.exit_code, done.stdout) == (2, "")
        assert problem in done.stderr
        assert "`sales` (1)" in done.stderr
    assert "schema: sales" in daybreak(project, "discover", "SOURCE_URL", "--schema", "sales").stdout


def test_a_schema_of_views_alone_says_why_each_is_left_out(project: Project) -> None:
    project.run("create table nothing ()", "create view v as select 1 as a")
    done = daybreak(project, "discover", "SOURCE_URL")
    assert done.exit_code == 2
    assert "`nothing` is left out: it has no columns." in done.stderr
    assert "`v` is left out" in done.stderr


@pytest.mark.parametrize(
    ("url", "exit_code", "told"),
    [
        ("postgresql://me:s3cret@127.0.0.1:1/x", 1, "Connection refused"),
        ("mysql://me:s3cret@host/x", 2, "the URL's scheme is mysql"),
        ("postgresql://me:s3cret@x@host/x", 2, "more than one @"),
        ("host=x password=s3cret", 2, "neither a URL nor the name"),
        ("NO_SUCH_URL", 2, "NO_SUCH_URL is not set"),
    ],
)
def test_a_source_that_cannot_be_read_is_told_without_its_password(project: Project, url: str, exit_code: int, told: str) -> None:
    done = daybreak(project, "discover", url)
    assert done.exit_code == exit_code
    assert told in done.stderr
    assert "s3cret" not in done.output


def test_the_output_has_no_url_and_names_the_variable(project: Project) -> None:
    project.run("create table t (id int primary key)")
    database = project.url.partition("@/")[2].partition("?")[0]
    url = project.url.replace("postgres:@", "postgres:s3cret@")
    text = daybreak(project, "discover", url).stdout
    assert "s3cret" not in text
    assert "postgresql://" not in text
    assert yaml.safe_load(text)["url_env"] == f"{database.upper()}_DATABASE_URL"
    assert yaml.safe_load(daybreak(project, "discover", "SOURCE_URL").stdout)["url_env"] == "SOURCE_URL"
    assert yaml.safe_load(daybreak(project, "discover", url, "--url-env", "MINE").stdout)["url_env"] == "MINE"
    assert daybreak(project, "discover", url, "--url-env", "it's").exit_code == 2


def test_a_file_that_is_there_is_not_overwritten(project: Project, tmp_path: Path) -> None:
    project.run("create table t (id int primary key)")
    file = tmp_path / "mine.yaml"
    assert daybreak(project, "discover", "SOURCE_URL", "--output", str(file)).exit_code == 0
    written = file.read_text()
    assert daybreak(project, "discover", "SOURCE_URL", "--output", str(file)).exit_code == 2
    assert file.read_text() == written


def test_a_wrong_password_is_told_and_not_repeated(project: Project, reader: str) -> None:
    with psycopg.connect(project.url, autocommit=True) as connection:
        ((file,),) = connection.execute("show hba_file").fetchall()
        rules = Path(file).read_text()
        try:
            Path(file).write_text(f"local all {reader} scram-sha-256\n{rules}")
            connection.execute("select pg_reload_conf()")
            done = daybreak(project, "discover", project.environment["SOURCE_URL"].replace("@/", ":s3cret@/"))
        finally:
            Path(file).write_text(rules)
            connection.execute("select pg_reload_conf()")
    assert done.exit_code == 2
    assert "password" in done.stderr
    assert "s3cret" not in done.output
