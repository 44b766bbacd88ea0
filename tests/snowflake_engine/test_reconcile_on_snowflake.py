from tests.integration.test_reconcile import *  # noqa: F403
