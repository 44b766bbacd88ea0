"""Every mutation of the pipeline, for the test and for the report: thirty, and those that are tried besides."""

from tests.sabotage.landing import LANDING, MORE_LANDING
from tests.sabotage.loading import LOADING, MORE_LOADING
from tests.sabotage.reading import MORE_READING, READING
from tests.sabotage.values import MORE_VALUES, VALUES

THIRTY = (*READING, *VALUES, *LANDING, *LOADING)
MORE = (*MORE_READING, *MORE_VALUES, *MORE_LANDING, *MORE_LOADING)
ENOUGH = 29  # of the thirty the balance or the comparison must catch so many
