"""The engine's own tests, on Snowflake: modules here take those of ``tests/integration`` that their import names.

A few of each kind are in the quick suite, the rest are slow, and of the many migrations two of three are long. Left out are those that
look at DuckDB's file or words.
"""

import re
from pathlib import Path

import pytest

from tests.conftest import Project
from tests.snowflake.fixtures import *  # noqa: F403

SAMPLE = re.compile(
    r"crashes_on|privacy_on|every_type|keys_of_every_type|quotes_spaces|a_mask_that_is_added"
    r"|incremental_inserts_and|snapshot_.*deleted|partitioned_.*moved|a_held_window|keyless|empty_tables"
    r"|lossless.*(swap of two names-incremental|to numeric.*-snapshot|drop and add of one name-partitioned)"
    r"|lossy.*the cursor-snapshot|under_approve.*\[rename\]|rules_of_the_source.*evolve"
    r"|an_equal_table_is_said|a_row_that_changed_behind|deleted_rows_are_found|keys_of_many_types.*(uuid|timestamp)"
    r"|still_bad_keeps_its_entry.*partitioned|replay"
)
OF_A_FILE = {
    "test_an_unchanged_second_sync_writes_nothing": "looks at the file's time",
    "test_kept_names_are_free_ones": "makes columns by DuckDB's words",
    "test_the_planned_statements_are_those_that_run": "expects DuckDB's words",
    "test_what_was_swapped_may_be_renamed_later_and_is_planned": "expects DuckDB's words",
    "test_models_find_what_a_renamed_column_was_called": "asks in DuckDB's words",
    "test_a_gate_that_is_loosened_lets_the_rows_in_by_replay_or_by_the_next_sync_of_a_snapshot": "has two warehouses by two homes",
    "test_keys_of_many_types_are_compared_named_and_healed[date]": "has a year before Christ",
    "test_a_lossy_type_waits_and_once_approved_stands_beside_the_old_one[a narrower type-incremental]": "tells an INTEGER from 10 digits",
    "test_a_lossy_type_waits_and_once_approved_stands_beside_the_old_one[a narrower type-snapshot]": "tells an INTEGER from 10 digits",
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    mine = [item for item in items if item.path.parent == Path(__file__).parent]
    gone = [item for item in mine if item.name in OF_A_FILE]
    items[:] = [item for item in items if item not in gone]
    config.hook.pytest_deselected(items=gone)
    for number, item in enumerate(mine):
        if not SAMPLE.search(item.nodeid):
            item.add_marker(pytest.mark.long if "_schema_" in item.path.name and number % 3 else pytest.mark.slow)


@pytest.fixture
def project(postgres_url: str, snowflake_url: str, tmp_path: Path) -> Project:
    """A project as in ``tests/conftest.py``, whose warehouse is Snowflake."""
    return Project(postgres_url, tmp_path / "home", {"DAYBREAK_WAREHOUSE_URL": snowflake_url})
