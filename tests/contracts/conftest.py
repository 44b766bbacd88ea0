from tests.snowflake.fixtures import *  # noqa: F403
