"""What the doctor finds on a machine: versions, files of secrets, the dbt project, Dagster's home, the mirror."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pipelines.doctor.disk import check_folder
from pipelines.doctor.examine import examine
from pipelines.doctor.finding import Finding
from pipelines.doctor.machine_checks import check_dagster, check_dbt, check_secrets, check_versions
from pipelines.doctor.mirror_checks import check_mirror
from pipelines.runs.morning import INSTANCE_CONFIG
from pipelines.settings import Settings, load_settings
from pipelines.state.lock import hold_lock
from pipelines.sync.spec import SourceSpec, TableSpec
from pipelines.wiring import open_mirror

MASKED = SourceSpec("shop", "SHOP_DATABASE_URL", (TableSpec("shop", "public", "people", "snapshot", masks={"email": "hmac"}),))


def make_settings(home: Path, **environment: str) -> Settings:
    home.mkdir(exist_ok=True)
    return load_settings({"DAYBREAK_HOME": str(home), "SHOP_DATABASE_URL": "postgresql://me@host/shop", **environment})


def states(findings: list[Finding]) -> dict[str, str]:
    return {finding.subject: finding.state for finding in findings}


def make_distribution(folder: Path, monkeypatch: pytest.MonkeyPatch, *lines: str) -> str:
    (folder / "someproject-1.dist-info").mkdir(parents=True)
    text = "\n".join(("Metadata-Version: 2.1", "Name: someproject", "Version: 1", *lines))
    (folder / "someproject-1.dist-info" / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(str(folder))
    return "someproject"


def test_the_versions_of_this_environment_are_those_that_the_project_demands() -> None:
    assert states(check_versions()) == {"installed": "ok"}


def test_every_version_that_is_not_the_demanded_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    demands = ("Requires-Python: <3", "Requires-Dist: duckdb==0.1", "Requires-Dist: nosuchpackage", 'Requires-Dist: gone; extra == "more"')
    findings = check_versions(make_distribution(tmp_path, monkeypatch, *demands))
    assert states(findings) == {"duckdb": "problem", "nosuchpackage": "problem", "python": "problem"}


def test_files_of_secrets_that_others_may_read_are_warned_of(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    for name in ("env", "mask.key"):
        (tmp_path / name).write_text("DAYBREAK_X=" + "k" * 64)
        (tmp_path / name).chmod(0o600)
    assert states(check_secrets(settings, [MASKED])) == {"env": "ok", "mask.key": "ok"}
    (tmp_path / "env").chmod(0o640)
    (tmp_path / "mask.key").chmod(0o604)
    assert states(check_secrets(settings, [MASKED])) == {"env": "warning", "mask.key": "warning"}


def test_a_mask_key_is_present_made_later_weak_or_not_needed(tmp_path: Path) -> None:
    assert states(check_secrets(make_settings(tmp_path), [MASKED])) == {"mask key": "note"}
    assert not (tmp_path / "mask.key").exists()
    assert states(check_secrets(make_settings(tmp_path, DAYBREAK_MASK_KEY="k" * 32), [MASKED])) == {"mask key": "ok"}
    assert states(check_secrets(make_settings(tmp_path, DAYBREAK_MASK_KEY="short"), [MASKED])) == {"mask key": "warning"}
    (tmp_path / "mask.key").touch(0o600)
    assert states(check_secrets(make_settings(tmp_path), [MASKED])) == {"mask key": "problem"}
    assert check_secrets(make_settings(tmp_path), [SourceSpec("shop", "SHOP_DATABASE_URL", ())]) == []


def test_a_table_that_no_model_reads_is_noted() -> None:
    settings = load_settings({})
    assert states(check_dbt(settings, settings.sources())) == {"project": "ok"}
    (finding,) = check_dbt(settings, [MASKED])
    assert (finding.subject, finding.state, finding.remedy) == ("shop.people", "note", "daybreak add shop people")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, {"dagster.yaml": "note"}),
        (INSTANCE_CONFIG, {"telemetry": "ok", "storage": "ok"}),
        ("telemetry: {enabled: true}", {"telemetry": "warning", "storage": "ok"}),
        ("", {"telemetry": "warning", "storage": "ok"}),
        ("telemetry: {enabled: false}\nstorage: {postgres: {}}", {"telemetry": "ok", "storage": "note"}),
        ("telemetry: [", {"dagster.yaml": "problem"}),
    ],
)
def test_dagsters_own_file_must_turn_telemetry_off(tmp_path: Path, text: str | None, expected: dict[str, str]) -> None:
    if text is not None:
        (tmp_path / "dagster").mkdir()
        (tmp_path / "dagster" / "dagster.yaml").write_text(text)
    assert states(check_dagster(make_settings(tmp_path))) == {"folder": "ok", **expected}


def test_a_folder_that_cannot_be_made_is_a_problem_and_a_probe_leaves_nothing(tmp_path: Path) -> None:
    assert check_folder("landing", tmp_path / "new" / "landing", "X").state == "ok"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    finding = check_folder("landing", tmp_path / "file" / "landing", "X")
    assert finding.state == "problem"
    assert "is a file" in finding.found


def mirror_state(settings: Settings) -> Finding:
    return check_mirror(settings)[-1]


def test_a_mirror_is_of_this_release_of_another_damaged_or_not_there(tmp_path: Path) -> None:
    settings, file = make_settings(tmp_path), tmp_path / "state.db"
    assert mirror_state(settings).state == "note"
    assert not file.exists()
    open_mirror(settings.state_url).statuses()
    assert mirror_state(settings).state == "ok"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("update layout set digest = 'other'")
    assert "another release's" in mirror_state(settings).found
    for suffix in ("", "-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    file.write_bytes(b"no database" * 100)
    assert (mirror_state(settings).state, "damaged" in mirror_state(settings).found) == ("problem", True)


def test_who_sits_on_the_mirrors_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.doctor.mirror_checks.SECONDS", 0.05)
    settings = make_settings(tmp_path)
    open_mirror(settings.state_url).statuses()
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as writer:
        writer.execute("begin immediate")
        assert (mirror_state(settings).subject, mirror_state(settings).state) == ("lock", "problem")
    with hold_lock(tmp_path / "state.db.lock", "prepare it for long", 0), ThreadPoolExecutor(1) as other_thread:
        finding = other_thread.submit(mirror_state, settings).result()
    assert (finding.subject, finding.state) == ("lock", "problem")
    assert "prepare it for long" in finding.found


def test_a_mirror_on_a_server_that_does_not_answer_is_told_without_its_password(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, DAYBREAK_STATE_URL="postgresql+psycopg://me:s3cret@127.0.0.1:1/state")
    finding = mirror_state(settings)
    assert (finding.subject, finding.state) == ("server", "problem")
    assert "s3cret" not in finding.found + finding.remedy
    assert mirror_state(make_settings(tmp_path, DAYBREAK_STATE_URL="nonsense")).state == "problem"


def found_in(home: Path, **environment: Any) -> list[Finding]:
    return examine({"DAYBREAK_HOME": str(home), **environment})


def test_all_problems_of_the_environment_are_rows_and_the_rest_is_examined(tmp_path: Path) -> None:
    findings = found_in(tmp_path, DAYBREAK_CHUNK_ROWS="many", DAYBREAK_TIME_ZONE="Mars/Base")
    wrong = {finding.subject for finding in findings if finding.area == "environment" and finding.state == "problem"}
    assert {"DAYBREAK_CHUNK_ROWS", "DAYBREAK_TIME_ZONE", "SHOP_DATABASE_URL"} <= wrong
    assert {"warehouse", "landing", "mirror", "dbt", "dagster", "versions"} <= {finding.area for finding in findings}


def test_a_mistake_in_the_homes_own_file_is_a_row_too(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("DAYBREAK_CHUNK_ROWS=many\n")
    findings = found_in(tmp_path)
    assert {"DAYBREAK_CHUNK_ROWS", "settings"} <= {finding.subject for finding in findings if finding.state == "problem"}
    assert "versions" in {finding.area for finding in findings}


def test_all_problems_of_the_catalog_are_rows_and_the_rest_is_examined(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text("source: shop\nurl_env: lower\ntables:\n  - {name: t, mode: snapshot, colour: red}\n")
    findings = found_in(tmp_path, DAYBREAK_CATALOG=str(tmp_path))
    told = [finding.found for finding in findings if finding.area == "catalog" and finding.state == "problem"]
    assert any("shop.yaml:2" in text for text in told)
    assert any("colour" in text for text in told)
    assert {"warehouse", "landing", "mirror", "dbt", "dagster", "versions"} <= {finding.area for finding in findings}
