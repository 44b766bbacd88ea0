"""The double of Snowflake, for tests that build on both warehouses."""

from tests.snowflake.fixtures import *  # noqa: F403
