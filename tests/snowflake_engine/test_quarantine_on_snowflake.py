from tests.integration.test_quarantine import *  # noqa: F403
