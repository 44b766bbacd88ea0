from tests.integration.test_sync_modes import *  # noqa: F403
