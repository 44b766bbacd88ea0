"""Every mutation of the pipeline, for the test and for the report."""

from tests.sabotage.landing import LANDING
from tests.sabotage.loading import LOADING
from tests.sabotage.reading import READING
from tests.sabotage.values import VALUES

MUTATIONS = (*READING, *VALUES, *LANDING, *LOADING)
