from tests.integration.test_schema_evolution import *  # noqa: F403
