"""A mistake in a catalog file: what, where and the remedy, and the line that tells it. Not here: what is a mistake."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import yaml

Path = tuple[str | int, ...]  # keys and list positions, from the file's top


@dataclass(frozen=True)
class Problem:
    """One mistake. ``place`` is line and column (1-based) where that is known better than by the path."""

    path: Path
    message: str
    remedy: str = ""
    place: tuple[int, int] | None = None
    meant: str = ""  # the setting that a misspelt one probably means


MISSING = "is missing"


def name_unknown(path: Path, known: Sequence[str]) -> Problem:
    """Return the problem of a setting that is none of ``known``."""
    close = difflib.get_close_matches(str(path[-1]), known, n=1)
    told = f"there is no such setting{f'; did you mean `{close[0]}`?' if close else ''}"
    return Problem(path, told, "docs/catalog.md lists them all", meant=close[0] if close else "")


def render_all(file: object, node: yaml.Node | None, problems: Sequence[Problem]) -> list[str]:
    """Return the lines of one file's problems in the order of their places, without what a misspelt setting explains."""
    meant = {(*problem.path[:-1], problem.meant) for problem in problems}
    told = [problem for problem in problems if problem.message != MISSING or problem.path not in meant]
    places = [problem.place or find_place(node, problem.path) for problem in told]
    return list(dict.fromkeys(render(file, node, problem, place) for place, problem in sorted(zip(places, told, strict=True), key=_place)))


def _place(item: tuple[tuple[int, int], Problem]) -> tuple[int, int]:
    return item[0]


def render(file: object, node: yaml.Node | None, problem: Problem, place: tuple[int, int]) -> str:
    """Return ``file:line:column path: message — remedy``; tables are called by name where they have a plain one."""
    line, column = place
    remedy = f" — {problem.remedy}" if problem.remedy else ""
    return f"{file}:{line}:{column} {_name_path(node, problem.path)}: {problem.message}{remedy}"


def find_place(node: yaml.Node | None, path: Path) -> tuple[int, int]:
    """Return line and column of the deepest node on ``path`` that the file has: of a key, or of an item of a list."""
    found = node.start_mark if node else None
    for step in path:
        if (pair := find_pair(node, step)) is None:
            break
        found, node = pair[0].start_mark, pair[1]
    return (found.line + 1, found.column + 1) if found else (1, 1)


def find_value(node: yaml.Node | None, path: Path) -> yaml.Node | None:
    """Return the node of the value at ``path``; None if the file has none."""
    for step in path:
        pair = find_pair(node, step)
        node = pair[1] if pair else None
    return node


def find_pair(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """Return the node that marks one step down and the node of its value. The last of equal keys counts, as in YAML."""
    if isinstance(node, yaml.MappingNode):
        pairs = reversed(node.value)
        return next(((key, value) for key, value in pairs if isinstance(key, yaml.ScalarNode) and key.value == step), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _name_path(node: yaml.Node | None, path: Path) -> str:
    steps = list(path)
    if len(path) > 1 and path[0] == "tables":
        name = find_value(node, (*path[:2], "name"))
        if isinstance(name, yaml.ScalarNode) and name.value.isidentifier():
            steps[1] = name.value
    return ".".join(map(str, steps)) or "file"
