"""Deliberate defects of the pipeline's own code: somebody catches each one, and says which rows are wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sabotage.bench import COUNTED, Bench, open_bench, problems_of
from tests.sabotage.mutation import Mutation
from tests.sabotage.mutations import ENOUGH, MORE, THIRTY
from tests.sabotage.scenarios import SCENARIOS


@pytest.fixture(scope="module")
def bench(postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder: Path = tmp_path_factory.mktemp("sabotage")
    with open_bench(postgres_server, folder) as bench:
        yield bench


def names(mutations: tuple[Mutation, ...]) -> list[str]:
    return [mutation.name for mutation in mutations]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_without_a_defect_source_and_warehouse_are_equal(bench: Bench, scenario: str) -> None:
    assert bench.control(scenario) == ("equal", 0)


def check(bench: Bench, mutation: Mutation) -> str:
    trial = bench.try_out(mutation)
    assert problems_of(trial) == [], trial
    return trial.caught_by


@pytest.fixture(scope="module")
def caught() -> dict[str, str]:
    return {}


@pytest.mark.parametrize("mutation", THIRTY, ids=names(THIRTY))
def test_each_of_the_thirty_is_caught(bench: Bench, caught: dict[str, str], mutation: Mutation) -> None:
    caught[mutation.name] = check(bench, mutation)


def test_the_balance_or_the_comparison_catches_all_but_one_of_the_thirty(caught: dict[str, str]) -> None:
    if len(caught) < len(THIRTY):
        pytest.skip("not all of the thirty were tried in this run")
    assert len(THIRTY) == 30
    assert sum(by in COUNTED for by in caught.values()) >= ENOUGH, caught


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MORE, ids=names(MORE))
def test_each_of_the_others_is_caught_unless_it_says_why_nobody_can(bench: Bench, mutation: Mutation) -> None:
    check(bench, mutation)


def test_no_mutation_is_tried_twice_and_all_modes_are() -> None:
    every = (*THIRTY, *MORE)
    assert len({mutation.name for mutation in every}) == len(every)
    assert {SCENARIOS[mutation.scenario].mode for mutation in THIRTY} == {"incremental", "partitioned", "snapshot"}
