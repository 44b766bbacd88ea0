"""The pages of a first hour, tried as they are written: every command of them, in their order, on a database of their own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SALES = """
    create table customers (customer_id bigint primary key, email text, name text, updated_at timestamptz not null default now());
    create index on customers (updated_at);
    create table invoices (invoice_id bigint primary key, customer_id bigint not null, amount numeric(10, 2), issued_on date not null);
    insert into customers select n, 'c' || n || '@example.com', 'Customer ' || n from generate_series(1, 40) n;
    insert into invoices select n, n % 40 + 1, n * 1.5, date '2026-01-01' + n % 60 from generate_series(1, 300) n;
    analyze
"""


@dataclass(frozen=True)
class Reader:
    """Somebody with a clone of the project who types what a page says."""

    folder: Path
    url: str

    def type(self, command: str) -> str:
        """Run one line of a page; what fails, fails the page."""
        line = re.sub(r"^daybreak\b", f"{sys.executable} -m pipelines.cli", command)
        done = subprocess.run(line, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DAYBREAK_", "DAGSTER_", "SHOP_"))}
        given = {"SALES_DATABASE_URL": self.url, "DAYBREAK_CATALOG": str(self.folder / "catalog"), "PYTHONPATH": str(self.folder)}
        return {**kept, **given}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE)


def commands(page: str) -> Iterator[str]:
    for block in blocks(page, "console"):
        for line in block.splitlines():
            command = line.removeprefix("$ ").partition("  #")[0].rstrip()
            if not command.startswith(("export ", "daybreak ui")):  # which are the environment, and a server that does not end
                yield command


@pytest.fixture(scope="module")
def reader(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder, name = tmp_path_factory.mktemp("clone"), f"sales_{os.getpid()}"
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for file in files.splitlines():
        if (ROOT / file).exists() and not file.startswith("tests/"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, folder / file)
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = postgres_server.replace("/shop?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in SALES.split(";"):
            connection.execute(statement)  # type: ignore[arg-type]
    return Reader(folder, url)


def test_your_own_database_in_five_minutes(reader: Reader) -> None:
    said = {command: reader.type(command) for command in commands("your-own-database.md")}
    assert "likely personal" in (reader.folder / "catalog" / "sales.yaml").read_text()
    assert "300" in said["daybreak status"]
    assert "sales.invoices" in said["daybreak run"]
    assert (reader.folder / ".daybreak" / "warehouse.read.duckdb").exists()


def test_a_model_and_a_gate_that_are_added_as_the_page_says(reader: Reader) -> None:
    marts = reader.folder / "dbt_project" / "models" / "marts"
    (*_, model), (*_, described, gate) = blocks("growing-the-project.md", "sql"), blocks("growing-the-project.md", "yaml")
    (marts / "revenue_by_customer.sql").write_text(model)
    (marts / "_sales__models.yml").write_text(described)
    said = reader.type("daybreak run")
    assert "0 failed" in said
    catalog = reader.folder / "catalog" / "sales.yaml"
    before, name, entry = catalog.read_text().partition("  - name: invoices\n")
    own = re.sub(r"    expectations:\n(      .*\n)+", "", entry, count=1)  # those that discover wrote give way to the page's
    lines = own.splitlines(keepends=True)
    catalog.write_text(before + name + "".join(lines[:2]) + gate + "".join(lines[2:]))
    assert "expect_column_values_to_be_between" in reader.type("daybreak preview sales invoices")
    reader.type("daybreak sync sales invoices")
    import duckdb

    with duckdb.connect(str(reader.folder / ".daybreak" / "warehouse.read.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from marts.revenue_by_customer").fetchall() == [(40,)]
