"""The environment: defaults, the home's file of defaults, every problem at once, and secrets that are read late."""

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipelines.errors import ConfigError
from pipelines.settings import PROJECT, VARIABLES, load_settings, write_env_file
from pipelines.sync.spec import SourceSpec


def test_the_home_decides_where_everything_is(tmp_path):
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path)})
    assert settings.warehouse_url == f"duckdb:///{tmp_path}/warehouse.duckdb"
    assert settings.landing.folder == tmp_path / "landing"
    assert settings.state_url == f"sqlite:///{tmp_path}/state.db"


def test_the_real_environment_wins_over_the_homes_file(tmp_path):
    write_env_file(tmp_path, {"DAYBREAK_TIME_ZONE": "Asia/Kolkata", "DAYBREAK_CHUNK_ROWS": "7"})
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_TIME_ZONE": "Pacific/Chatham"})
    assert (settings.time_zone, settings.chunk_rows) == ("Pacific/Chatham", 7)


def test_the_homes_file_keeps_what_it_had(tmp_path):
    write_env_file(tmp_path, {"A": "1", "B": "postgresql://u:p@h/d?options=-c%20x=y"})
    write_env_file(tmp_path, {"A": "2"})
    assert load_settings({"DAYBREAK_HOME": str(tmp_path)}).environment["B"] == "postgresql://u:p@h/d?options=-c%20x=y"
    assert (tmp_path / "env").stat().st_mode & 0o077 == 0


def test_every_problem_is_reported_at_once(tmp_path):
    given = {"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_TIME_ZONE": "Mars/Olympus", "DAYBREAK_CHUNK_ROWS": "many", "DAYBREAK_TODAY": "soon"}
    with pytest.raises(ConfigError) as caught:
        load_settings({**given, "DAYBREAK_LANDING_URL": "ftp://bucket/x"})
    assert [problem.split(":")[0] for problem in caught.value.problems] == [
        "DAYBREAK_LANDING_URL",
        "DAYBREAK_TIME_ZONE",
        "DAYBREAK_TODAY",
        "DAYBREAK_CHUNK_ROWS",
    ]


def test_a_missing_source_url_names_the_variable_and_no_value(tmp_path):
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match="CRM_URL is not set"):
        settings.source_url(SourceSpec("crm", "CRM_URL", ()))


def test_the_mask_key_is_made_once_and_is_private(tmp_path):
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path)})
    assert settings.mask_key() == settings.mask_key() == load_settings({"DAYBREAK_HOME": str(tmp_path)}).mask_key()
    assert (tmp_path / "mask.key").stat().st_mode & 0o077 == 0
    assert load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_MASK_KEY": "given"}).mask_key() == b"given"


def test_the_project_can_live_in_another_day(tmp_path):
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_TODAY": "2030-05-06"})
    assert settings.local_today() == settings.now().date() == date(2030, 5, 6)
    ahead = settings.in_project_time(datetime(2026, 1, 1, tzinfo=UTC)) - datetime(2026, 1, 1, tzinfo=UTC)
    assert ahead.days == (date(2030, 5, 6) - datetime.now(UTC).date()).days


def test_the_default_catalog_is_the_shop():
    (shop,) = load_settings({"DAYBREAK_HOME": str(Path("/nonexistent"))}).sources()
    assert [table.name for table in shop.tables][-1] == "events"


def test_a_misspelt_variable_is_not_ignored_in_silence(tmp_path):
    with pytest.raises(ConfigError, match=r"DAYBREAK_CHUNK_ROW: there is no such variable; did you mean DAYBREAK_CHUNK_ROWS\?"):
        load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_CHUNK_ROW": "7"})
    assert load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_SNOWFLAKE_USER": "me"})


def test_a_choice_that_is_none_names_the_choices(tmp_path):
    with pytest.raises(ConfigError) as caught:
        load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_READ_COPY": "maybe", "DAYBREAK_EXECUTOR": "multi"})
    assert [problem.rpartition(" is not one of ")[2] for problem in caught.value.problems] == ["on, off", "in_process, multiprocess"]


def test_every_variable_is_read_by_the_name_and_with_the_default_that_is_told(tmp_path):
    given = {
        item.name: item.default.format(home=tmp_path, project=PROJECT)
        for item in VARIABLES
        if item.default and item.name != "DAYBREAK_HOME"
    }
    told, silent = (load_settings({"DAYBREAK_HOME": str(tmp_path), **extra}) for extra in (given, {}))
    assert replace(told, environment={}) == replace(silent, environment={})
    assert (silent.chunk_rows, silent.chunk_bytes, silent.lock_wait_seconds) == (245_760, 128 * 2**20, 300)


def test_every_mistake_in_the_url_of_a_warehouse_is_told_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no option of a Snowflake URL") as error:
        load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_WAREHOUSE_URL": "snowflake://me@account/DB?wharehouse=W"})
    assert "names no warehouse to compute with" in str(error.value)
    with pytest.raises(ConfigError, match="'oracle' is no warehouse"):
        load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_WAREHOUSE_URL": "oracle://x/y"})
