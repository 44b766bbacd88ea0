"""Words in names, and names that are made from other names."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.catalog.models import SourceEntry
from pipelines.names import make_singular, make_slug, make_source_name, make_url_variable, split_words


@pytest.mark.parametrize("name", ["FirstName", "first_name", "FIRST-NAME", "first name", "firstName", "Fïrst.Nàme"])
def test_words_are_found_however_they_are_written(name: str) -> None:
    assert split_words(name) == ("first", "name")


def test_a_row_of_capitals_is_one_word_up_to_the_next() -> None:
    assert split_words("HTTPServerURL2") == ("http", "server", "url", "2")


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("customers", "customer"), ("addresses", "address"), ("address", "address"), ("families", "family"), ("ids", "id")],
)
def test_a_plural_is_compared_as_its_singular(plural: str, singular: str) -> None:
    assert make_singular(plural) == singular


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("order_items", "order_items"),
        ("sha256_v2", "sha256_v2"),
        ("Order Items", "order_items"),
        ("a/b", "a_b"),
        ("1st", "n_1_st"),
        ("~", "u7e"),
    ],
)
def test_a_slug_is_snake_case_and_leaves_plain_names_alone(name: str, slug: str) -> None:
    assert make_slug(name) == slug


@given(st.text(min_size=1, max_size=63))
def test_every_name_gives_a_slug_a_source_and_a_variable_that_are_taken(name: str) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9_]*", make_slug(name))
    source = make_source_name(name)
    table = {"name": "t", "mode": "snapshot"}
    assert SourceEntry.model_validate({"source": source, "url_env": make_url_variable(source), "tables": [table]})


def test_names_of_another_alphabet_stay_apart() -> None:
    assert len({make_slug("列"), make_slug("名前"), make_slug("表")}) == 3
