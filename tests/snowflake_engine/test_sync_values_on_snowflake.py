from tests.integration.test_sync_values import *  # noqa: F403
