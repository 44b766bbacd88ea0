from tests.integration.test_reconcile import *  # noqa: F403
from tests.integration.test_reconcile_scope import *  # noqa: F403
