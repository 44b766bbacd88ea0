"""The engine's own tests, on Snowflake: each module here takes those of ``tests/integration`` that say nothing of DuckDB."""

from pathlib import Path

import pytest

from tests.conftest import Project
from tests.snowflake.fixtures import *  # noqa: F403


@pytest.fixture
def project(postgres_url: str, snowflake_url: str, tmp_path: Path) -> Project:
    """A project as in ``tests/conftest.py``, whose warehouse is Snowflake."""
    return Project(postgres_url, tmp_path / "home", {"DAYBREAK_WAREHOUSE_URL": snowflake_url})
