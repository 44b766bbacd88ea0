"""A canary in every place that is masked: no file, log, event, page or message of a morning that goes wrong has one of them.

Beside the shop stands a second source, `vault`, whose tables are made to go wrong: rows that step aside, loads that are held,
queries that the server refuses with a value in its words. The sweep proves that it can fail: it finds what is not masked.
"""

import json
import secrets as random
import shutil
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
from typer.testing import CliRunner

from pipelines.cli.main import app
from tests.dagster.conftest import ROOT, Daybreak, open_daybreak
from tests.sweeping import Find, sweep_folder, sweep_text

pytestmark = pytest.mark.slow

VAULT = """
source: vault
url_env: VAULT_DATABASE_URL
schema: vault
owner: vault@example.com
tables:
  - name: people
    mode: snapshot
    key: [id]
    max_quarantined: {max_quarantined}
    columns:
      {{email: {{mask: hmac}}, token: {{mask: hmac}}, pay: {{mask: hmac}}, ip: {{mask: drop}}, note: {{mask: drop}}, tag: {{mask: drop}}}}
    expectations:
      - expect_column_values_to_be_between: {{column: age, min_value: 0}}
        on_failure: quarantine
      - expect_column_values_to_not_be_null: {{column: email}}
        on_failure: warn
  - name: no_key
    mode: snapshot
    key: [code]
    columns: {{email: {{mask: hmac}}, ip: {{mask: drop}}}}
  - name: twins
    mode: snapshot
    key: [id]
    columns: {{email: {{mask: hmac}}, ip: {{mask: drop}}}}
  - name: held
    mode: snapshot
    key: [id]
    columns: {{email: {{mask: hmac}}, ip: {{mask: drop}}}}
    expectations:
      - expect_column_values_to_be_between: {{column: age, min_value: 0}}
        on_failure: hold
      - expect_column_values_to_be_unique: {{column: email}}
        on_failure: hold
  - name: bad_cast
    mode: snapshot
    key: [id]
    columns: {{email: {{mask: hmac}}}}
  - name: raising
    mode: snapshot
    key: [id]
    columns: {{email: {{mask: drop}}}}
"""


@dataclass
class Planted:
    """A project whose sources hold canaries. ``said`` is all that commands printed, by command."""

    daybreak: Daybreak
    folder: Path
    masked: dict[str, str]
    visible: str  # in columns without a mask: the sweep must find it
    wrong_url: str  # the vault's, with another password
    forgotten: dict[str, str]  # the keys and the name of customers who are to be forgotten
    said: dict[str, str] = field(default_factory=dict)

    def tell(self, *arguments: str, **variables: str) -> int:
        """Run a command in a process of its own, keep what it printed, and return its exit code."""
        done = self.daybreak.daybreak(*arguments, **variables)
        return self._keep(done.stdout + done.stderr, done.returncode, *arguments)

    def ask(self, *arguments: str, **variables: str) -> int:
        """Run a command in this process, which is quicker; errors are kept as a traceback would show them."""
        with self.daybreak.inside():
            done = CliRunner().invoke(app, list(arguments), env=variables)
        error = done.exception if done.exception and not isinstance(done.exception, SystemExit) else None
        told = "".join(traceback.format_exception(error)) if error else ""
        return self._keep(done.output + told, done.exit_code, *arguments)

    def _keep(self, text: str, exit_code: int, *arguments: str) -> int:
        self.said[f"{len(self.said)} {' '.join(arguments)}"] = text
        return exit_code

    def sweep(self) -> list[Find]:
        """Look for masked canaries in the home and in all that was printed."""
        printed = [find for name, text in self.said.items() for find in sweep_text(text, name, self.masked)]
        return sweep_folder(self.daybreak.home, self.masked) + printed


def make_canaries() -> dict[str, str]:
    """Values that nobody guesses, some of which look otherwise wherever a text is coded."""
    made = {name: f"{name}-{random.token_hex(12)}" for name in ("shop_bad", "shop_unfit", "shop_event", "street", "default", "note")}
    mails = ("good", "unfit", "gate", "null_key", "twin", "held", "cast", "raised")
    made |= {name: f"{name}.ü'\"{random.token_hex(12)}@canary.example" for name in mails}
    made |= {"ip": f"2001:db8:{random.token_hex(2)}:1{random.token_hex(1)}:1{random.token_hex(1)}:1{random.token_hex(1)}:1f0a:1f0b"}
    made |= {"token": random.token_hex(16), "pay": f"9{random.randbelow(10**20):020d}", "mask_key": random.token_urlsafe(24)}
    return made | {"password": f"p@ss/ü:%?#&= '{random.token_hex(8)}", "wrong password": f"wr@ng/:%?#&{random.token_hex(8)}"}


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def plant_vault(daybreak: Daybreak, canaries: dict[str, str], visible: str, role: str) -> None:
    """Make the schema ``vault`` and the role that reads it."""
    value = {name: literal(text) for name, text in canaries.items()}
    daybreak.write(
        "create schema vault",
        "create table vault.people (id int primary key, age int, name text, born date, email text, ip inet, token bytea, note jsonb, "
        f"pay numeric, tag text default {value['default']})",
        "insert into vault.people select i, i, 'somebody', '2000-01-01', 'p' || i || '@example.com', '10.0.0.1' "
        "from generate_series(10, 40) i",
        f"insert into vault.people values "
        f"(1, 30, '{visible}', '2000-01-01', {value['good']}, {value['ip']}, '\\x{canaries['token']}', "
        f'\'{{"note": "{canaries["note"]}"}}\', {canaries["pay"]}), '
        f"(2, 30, '{visible}', 'infinity', {value['unfit']}, {value['ip']}, '\\x{canaries['token']}', "
        f'\'{{"note": "{canaries["note"]}"}}\', {canaries["pay"]}), '
        f"(3, -1, '{visible}', '2000-01-01', {value['gate']}, {value['ip']}, '\\x{canaries['token']}', "
        f'\'{{"note": "{canaries["note"]}"}}\', {canaries["pay"]}), '
        f"(4, -1, '{visible}', 'infinity', {value['gate']}, {value['ip']}, null, null, {'9' * 400}{canaries['pay']})",
        "create table vault.no_key (code text unique, email text, ip inet)",
        f"insert into vault.no_key values ('a', 'a@example.com', '10.0.0.1'), (null, {value['null_key']}, {value['ip']})",
        "create table vault.twins (id int not null, email text, ip inet)",
        f"insert into vault.twins values (1, {value['twin']}, {value['ip']}), (1, {value['twin']}, {value['ip']}), (2, null, null)",
        "create table vault.held (id int primary key, age int, email text, ip inet)",
        f"insert into vault.held values (1, -1, {value['held']}, {value['ip']}), (2, 1, {value['held']}, {value['ip']})",
        "create table vault.words (id int primary key, cast_me text, say_me text)",
        f"insert into vault.words values (1, {value['cast']}, {value['raised']})",
        "create view vault.bad_cast as select id, cast_me::int as email from vault.words",
        "create function vault.complain(word text) returns text language plpgsql as "
        "$$ begin raise exception 'no good: %', word using detail = word, hint = word; end $$",
        "create view vault.raising as select id, vault.complain(say_me) as email from vault.words",
        f"create role {role} login password {literal(canaries['password'])}",
        f"grant usage on schema vault to {role}",
        f"grant select on all tables in schema vault to {role}",
    )


def ask_for_password(daybreak: Daybreak, role: str) -> None:
    """Have the server ask this role, and no other, for its password."""
    ((file,),) = daybreak.source("show hba_file")
    Path(file).write_text(f"local all {role} scram-sha-256\n{Path(file).read_text()}")
    daybreak.write("select pg_reload_conf()")


def plant_shop(daybreak: Daybreak, canaries: dict[str, str], visible: str) -> None:
    """Rows that step aside, and good ones, whose masked columns hold canaries; ids above those that the simulator takes."""
    mail = {name: literal(canaries[name]) for name in ("good", "shop_bad", "shop_unfit", "shop_event")}
    day = daybreak.source("select max(occurred_at)::date from events where occurred_at < now() + interval '100 years'")[0][0]
    cursor = "(select max(updated_at) from customers) + interval '1 second'"
    daybreak.write(
        f"insert into customers select * from (values (980001, {mail['good']}, '{visible}', 'DE', 'consumer', false, timestamptz '{day}'), "
        f"(980002, {mail['shop_bad']}, '{visible}', 'DE', 'test', false, timestamptz '{day}'), "
        f"(980003, {mail['shop_unfit']}, '{visible}', 'DE', 'consumer', false, timestamptz 'infinity')) v, lateral (select {cursor}) u",
        f"insert into addresses values (980001, 980001, 'billing', {literal(canaries['street'])}, 'Town', '1', 'DE', '{day}')",
        "insert into events (event_id, session_id, event_type, device, country, email, ip, properties, occurred_at, received_at) "
        f"select 980000 + i, gen_random_uuid(), case i when 1 then 'debug' else 'view' end, 'desktop', 'DE', {mail['shop_event']}, "
        f"'{canaries['ip']}', '{{}}', '{day} 10:00', '{day} 10:00' from generate_series(1, 2) i",
    )


def plant_customers(daybreak: Daybreak, forgotten: dict[str, str]) -> None:
    """Two customers who are to be forgotten: one is good, one steps aside, and a check's message names its key."""
    rows = ((forgotten["good key"], "consumer"), (forgotten["bad key"], "test"))
    for key, segment in rows:
        daybreak.write(
            f"insert into customers select {key}, 'x@example.com', '{forgotten['name']}', 'DE', '{segment}', false, "
            "max(updated_at), max(updated_at) from customers where updated_at < 'infinity'"
        )


@pytest.fixture(scope="module")
def planted(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    with open_daybreak(postgres_server, tmp_path_factory.mktemp("daybreak") / "home", days=2) as daybreak:
        yield plant(daybreak, tmp_path_factory.mktemp("canary"))


def plant(daybreak: Daybreak, folder: Path) -> Planted:
    canaries = make_canaries()
    visible, role = f"visible-{random.token_hex(12)}", f"canary_{random.token_hex(4)}"
    (folder / "catalog").mkdir()
    shutil.copy(ROOT / "pipelines" / "catalog" / "shop.yaml", folder / "catalog")
    (folder / "catalog" / "vault.yaml").write_text(VAULT.format(max_quarantined=0.5))
    before, after = daybreak.url.partition("://")[2].partition("@")[::2]
    assert "@" not in after, before
    url = "postgresql://{role}:{password}@" + after
    environment = {
        "DAYBREAK_CATALOG": str(folder / "catalog"),
        "DAYBREAK_MASK_KEY": canaries["mask_key"],
        "VAULT_DATABASE_URL": url.format(role=role, password=quote(canaries["password"], safe="")),
    }
    daybreak.environment |= environment
    plant_vault(daybreak, canaries, visible, role)
    ask_for_password(daybreak, role)
    forgotten = {name: f"7{random.randbelow(10**17):017d}" for name in ("good key", "bad key")}
    forgotten["name"] = f"name-{random.token_hex(12)}"
    plant_shop(daybreak, canaries, visible)
    plant_customers(daybreak, forgotten)
    wrong = url.format(role=role, password=quote(canaries["wrong password"], safe=""))
    return Planted(daybreak, folder, canaries, visible, wrong, forgotten)


BROKEN = """
source: vault
url_env: VAULT_DATABASE_URL
schema: vault
tables:
  - name: people
    mode: snapshot
    key: [id]
    columns:
      {{email: {{mask: hmac}}, token: {{mask: hmac}}, pay: {{mask: hmac}}, ip: {{mask: drop}}, note: {{mask: drop}}, tag: {{mask: drop}}}}
    expectations:
      - {expectation}
        on_failure: hold
"""
MISTAKES = (
    "expect_column_values_to_be_between: {column: email, min_value: a}",  # a masked column
    "expect_column_values_to_be_between: {column: emial, min_value: 1}",  # a misspelt one
    "expect_column_values_to_be_between: {column: born, min_value: 1}",  # a wrongly typed bound
)


def test_a_morning_that_goes_wrong_on_masked_values_names_none_of_them(planted: Planted) -> None:
    assert planted.tell("run") == 3, planted.said
    (said,) = planted.said.values()
    for held in ("vault.twins is held", "vault.held is held", "vault.bad_cast, vault.raising are held"):
        assert held in said, said
    reasons = dict(planted.daybreak.ask("select table_name, count(*) from daybreak.quarantine where state = 'open' group by all"))
    assert reasons["people"] == 3
    assert reasons["no_key"] == 1
    assert {"customers", "events"} <= reasons.keys()
    assert planted.sweep() == []


def test_the_sweep_can_fail_as_it_finds_what_is_not_masked_wherever_it_was_written(planted: Planted) -> None:
    found = {
        find.place.replace(str(planted.daybreak.home), "") for find in sweep_folder(planted.daybreak.home, {"visible": planted.visible})
    }
    for part in (
        "/warehouse.duckdb: raw_vault.people",
        "/warehouse.duckdb: daybreak.quarantine",
        "/warehouse.read.duckdb: raw_shop.customers",
    ):
        assert any(place.startswith(part) for place in found), found
    for part in ("/landing/vault/people/", "/landing/shop/customers/"):
        assert any(place.startswith(part) and "/chunk-" in place for place in found), found
        assert any(place.startswith(part) and "/aside-" in place for place in found), found
    marts = {row[0] for row in planted.daybreak.ask("select email from marts.customers where customer_id = 980001")}
    assert all(len(email) == 64 for email in marts)  # there, as a keyed hash
    assert len(marts) == 1


def test_commands_that_look_at_tables_show_what_would_land(planted: Planted) -> None:
    for table in ("people", "no_key", "twins", "held"):
        assert planted.ask("preview", "vault", table) == 0, planted.said
    assert planted.ask("preview", "vault", "people", "--json") == 0
    assert planted.ask("preview", "shop", "customers", "--json") == 0
    for table in ("bad_cast", "raising"):
        assert planted.ask("preview", "vault", table) == 1, planted.said
    assert planted.ask("discover", "VAULT_DATABASE_URL", "--schema", "vault") == 0, planted.said
    planted.ask("doctor")
    planted.ask("doctor", "vault", "--json")
    assert planted.ask("quarantine", "list") == 0
    assert planted.ask("quarantine", "show", "vault", "people") == 0
    assert planted.ask("quarantine", "replay", "vault") in (0, 3)
    assert planted.ask("status", "--json") == 0
    assert planted.sweep() == []


def test_a_source_that_refuses_or_cannot_be_reached_is_told_without_its_password(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.wiring.PAUSE_SECONDS", 0)
    right, wrong = planted.daybreak.environment["VAULT_DATABASE_URL"], planted.wrong_url
    away = right.replace("?host=", "?host=/nowhere")
    plain = right.replace(quote(planted.masked["password"], safe=""), planted.masked["password"])
    assert planted.tell("sync", "vault", VAULT_DATABASE_URL=wrong) in (2, 3)
    assert "password authentication failed" in [*planted.said.values()][-1]
    for url in (away, plain, right.replace("postgresql://", "mysql://")):
        planted.ask("sync", "vault", "people", VAULT_DATABASE_URL=url)
        planted.ask("preview", "vault", "people", VAULT_DATABASE_URL=url)
    for url in (wrong, plain):
        planted.ask("doctor", "vault", VAULT_DATABASE_URL=url)
        planted.ask("discover", "VAULT_DATABASE_URL", "--schema", "vault", VAULT_DATABASE_URL=url)
    assert planted.sweep() == []


def test_a_mistake_in_the_catalog_is_told_without_a_value_of_the_data(planted: Planted) -> None:
    for number, mistake in enumerate(MISTAKES):
        folder = planted.folder / f"broken-{number}"
        folder.mkdir()
        (folder / "vault.yaml").write_text(BROKEN.format(expectation=mistake))
        for command in ("sync", "preview"):
            assert planted.ask(command, "vault", "people", DAYBREAK_CATALOG=str(folder)) == 2, planted.said
    assert planted.sweep() == []


def places(planted: Planted, *names: str) -> set[str]:
    """Return the files, and the folders in the home, in which what is to be forgotten stands."""
    found = sweep_folder(planted.daybreak.home, {name: planted.forgotten[name] for name in names or planted.forgotten})
    return {
        Path(find.place.partition(": ")[0]).relative_to(planted.daybreak.home).parts[0] for find in found if "its name" not in find.place
    }


def test_a_row_is_forgotten_in_the_table_the_quarantine_the_landing_the_mirror_and_dagsters_history(planted: Planted) -> None:
    good, bad = planted.forgotten["good key"], planted.forgotten["bad key"]
    assert {"landing", "warehouse.duckdb", "warehouse.read.duckdb"} <= places(planted, "name")
    assert {"landing", "warehouse.duckdb", "state.db", "dagster"} <= places(planted, "bad key")  # checks gave it as an example
    assert planted.tell("forget", "shop", "customers", bad, "--by", "alice", "--no-run") == 2  # it is in the source
    planted.daybreak.write(f"delete from customers where customer_id in ({good}, {bad})")
    told = {}
    for key in (good, bad):
        assert planted.tell("forget", "shop", "customers", key, "--by", "alice", "--no-run", "--json") == 3, planted.said
        told[key] = json.loads([*planted.said.values()][-1])
    assert (told[good]["rows"], told[good]["quarantine_entries"]) == (1, 0)
    assert (told[bad]["rows"], told[bad]["quarantine_entries"]) == (0, 1)
    assert told[bad]["dagster_runs"] == 1
    assert "the next morning run builds them anew" in told[good]["left"][0]
    record = "select keys, forgotten_by, quarantine_entries, load_id from daybreak.forgotten order by load_id"
    assert planted.daybreak.ask(record) == [(1, "alice", 0, told[good]["load_id"]), (1, "alice", 1, told[bad]["load_id"])]
    assert places(planted, "bad key") <= {"warehouse.read.duckdb"}  # until the next morning replaces it
    assert places(planted) <= {"warehouse.duckdb", "warehouse.read.duckdb"}  # in marts, until they are built anew


@pytest.mark.long
def test_the_morning_after_leaves_nothing_of_a_forgotten_row(planted: Planted) -> None:
    gone = planted.forgotten["good key"], planted.forgotten["bad key"]
    planted.daybreak.write(f"delete from customers where customer_id in ({', '.join(gone)})")
    versions = planted.daybreak.home / "dashboards" / "versions"
    for key in gone:
        before = set(versions.iterdir()) if versions.exists() else set()
        assert planted.tell("forget", "shop", "customers", key, "--by", "alice") == 0, planted.said
        published = set(versions.iterdir())
        assert published
        assert not before & published
    assert places(planted) == set()
    assert planted.sweep() == []


@pytest.mark.long
def test_a_morning_in_this_process_names_no_masked_value_either(planted: Planted) -> None:
    assert not planted.daybreak.run().is_green
    assert planted.sweep() == []
