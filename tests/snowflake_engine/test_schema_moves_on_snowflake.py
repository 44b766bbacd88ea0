from tests.integration.test_schema_moves import *  # noqa: F403
