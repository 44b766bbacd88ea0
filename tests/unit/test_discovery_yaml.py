"""YAML as text: every name reads back as it is, and a file that people wrote stays as it is around what is put into it."""

from collections.abc import Sequence

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.discovery.yaml_text import append_to_item, comment, flow, insert_item, rename_item, scalar, sentence
from pipelines.errors import ConfigError

NAMES = (
    "on",
    "null",
    "1e3",
    "~",
    "yes",
    "2026-01-01",
    "0x1f",
    "a: b",
    "# c",
    "new\nline",
    "\x85",
    "\u2028",
    "🎉",
    "é" * 31,
    "'",
    '"',
    "\\",
    "<<",
    "=",
)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=63)


def with_examples(test):
    for name in NAMES:
        test = example(name)(test)
    return test


@with_examples
@given(names)
def test_every_name_reads_back_as_itself_wherever_it_stands(name: str) -> None:
    text = (
        f"{scalar(name)}: {{{scalar(name)}: {scalar(name)}}}\nlist:\n  - {scalar(name)}\n  - {flow([name, name])}\nlast: {sentence(name)}\n"
    )
    assert yaml.safe_load(text) == {name: {name: name}, "list": [name, [name, name]], "last": name}
    assert len(text.splitlines()) == 5


@with_examples
@given(names)
def test_no_name_ends_the_comment_it_stands_in(name: str) -> None:
    assert yaml.safe_load(f"a: 1 {comment(f'what {name} is')}\nb: 2\n") == {"a": 1, "b": 2}


FILE = """\
# head
top: x
items:
  # one
  - name: one
    more: {a: 1}   # kept
    # belongs to one

  # two
  - name: two # the last
    text: |
      # no comment

      deep
    # belongs to two

# tail
other: 1
"""


def put(text: str, path: Sequence[str | tuple[str, str]] = ("items",)) -> str:
    return insert_item(text, path, ["# why", "- name: new", "  more: {}"], "file.yaml")


def test_an_item_goes_behind_the_last_one_and_all_else_stays() -> None:
    made = put(FILE)
    added = "\n  # why\n  - name: new\n    more: {}\n"
    assert added in made
    assert made.replace(added, "", 1) == FILE
    assert made.index("# belongs to two") < made.index("# why") < made.index("# tail")
    assert [item["name"] for item in yaml.safe_load(made)["items"]] == ["one", "two", "new"]


@pytest.mark.parametrize(
    "text",
    [
        "items:\n- name: a",  # no indent, no end of line
        "items:\n    -   name: a\n        more: {}\n",
        "items:\r\n  - name: a\r\n",
        "items:\n  -\n    name: a\nother: 1\n",
        "items:\n  - {name: a}\n# tail\n",
    ],
)
def test_lists_of_every_layout_are_added_to(text: str) -> None:
    made = put(text)
    assert [item["name"] for item in yaml.safe_load(made)["items"]] == ["a", "new"]
    assert made.replace("\r", "").startswith(text.replace("\r", "").split("other")[0].split("# tail")[0].rstrip())


def test_an_inner_list_is_found_by_its_items_name() -> None:
    made = put("s:\n  - name: a\n    t:\n      - name: x\n  - name: b\n    t:\n      - name: y\n", ("s", ("name", "a"), "t"))
    assert [[table["name"] for table in item["t"]] for item in yaml.safe_load(made)["s"]] == [["x", "new"], ["y"]]


@pytest.mark.parametrize("text", ["items: [{name: a}]\n", "items: []\n", "things: 1\n", ""])
def test_a_list_that_cannot_be_added_to_is_said_with_its_file(text: str) -> None:
    with pytest.raises(ConfigError, match=r"file\.yaml: `items`"):
        put(text)


def test_an_item_goes_in_front_of_the_one_that_is_named_if_there_is_one() -> None:
    added = insert_item(FILE, ("items",), ["- name: new"], "file.yaml", before="two")
    assert [item["name"] for item in yaml.safe_load(added)["items"]] == ["one", "new", "two"]
    assert added.replace("\n  - name: new\n", "", 1) == FILE
    assert insert_item(FILE, ("items",), ["- name: new"], "file.yaml", before="three").index("new") > FILE.index("two")


@pytest.mark.parametrize("text", ["- name: one # kept\n  a: 1\n", "- {a: 1, name: one}\n", "- name: 'one'\n"])
@pytest.mark.parametrize("name", ["two", "a: b", "on", 'it "is"'])
def test_an_item_is_renamed_and_all_else_stays(text: str, name: str) -> None:
    made = rename_item(f"items:\n{text}", ("items",), "one", name)
    assert yaml.safe_load(made)["items"][0]["name"] == name
    assert made.replace(scalar(name), "one").replace("'", "") == f"items:\n{text}".replace("'", "")


def test_keys_go_to_the_end_of_an_item() -> None:
    made = append_to_item(FILE, ("items", ("name", "one")), ["columns:", "  - name: x"])
    assert made == FILE.replace("    # belongs to one\n", "    # belongs to one\n    columns:\n      - name: x\n")
    assert append_to_item("items:\n- name: a", ("items", ("name", "a")), ["b: 1"]) == "items:\n- name: a\n  b: 1\n"
