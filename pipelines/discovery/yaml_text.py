"""YAML as text: scalars that read back exactly, and items put into a file that people wrote, which stays as it is otherwise."""

import json
import re
from collections.abc import Sequence

import yaml

from pipelines.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SAFE_TEXT = re.compile(r"[A-Za-z][A-Za-z0-9_ .,;()/'`-]*")


def scalar(text: str) -> str:
    """Return ``text`` as a YAML scalar on one line that every YAML reader takes for this very string."""
    if _PLAIN.fullmatch(text) and _reads_back(text):
        return text
    return f'"{"".join(map(_escaped, text))}"'


def sentence(text: str) -> str:
    """Return ``text`` as a scalar for people: without quotes where it needs none."""
    if _SAFE_TEXT.fullmatch(text) and not text.endswith(" ") and _reads_back(text):
        return text
    return f'"{"".join(map(_escaped, text))}"'


def flow(names: Sequence[str]) -> str:
    """Return a list on one line."""
    return f"[{', '.join(map(scalar, names))}]"


def comment(text: str) -> str:
    """Return ``text`` as a comment that cannot end before its line does."""
    return f"# {''.join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)}"


def _reads_back(text: str) -> bool:
    try:
        return bool(yaml.safe_load(f"a: {text}\n") == {"a": text} and yaml.safe_load(f"{{a: [{text}]}}") == {"a": [text]})
    except (yaml.YAMLError, ValueError):
        return False


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    if char.isprintable():
        return char
    number = ord(char)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


YamlPath = Sequence[str | tuple[str, str]]  # a key, or (key, value) of the item to go into


def insert_item(text: str, path: YamlPath, lines: Sequence[str], where: str, *, before: str | None = None) -> str:
    """Return ``text`` with ``lines`` (an item, its dash in column 0) behind the last item of the list at ``path``.

    Or in front of the item called ``before``, where there is one. ``where`` names the file in the ``ConfigError`` that says that
    the list cannot be added to. Everything else stays as it is, comments too; the item is indented like its neighbours.
    """
    node = _follow(yaml.compose(text, Loader=yaml.SafeLoader), path)
    if not isinstance(node, yaml.SequenceNode) or node.flow_style or not node.value:
        raise ConfigError(
            [f"{where}: `{_name(path)}` is not a list with an item a line, so nothing can be put into it."],
            safe="Nothing was written.",
            remedy="Write it as a list whose items each begin with a dash on a line of their own.",
        )
    standing = text.splitlines(keepends=True)
    indent = node.start_mark.column  # of the first dash
    position = next((number for number, item in enumerate(node.value) if before and _has(item, "name", before)), 0)
    end = _end_of_item(standing, node.value[position - 1], indent)
    if end and not standing[end - 1].endswith("\n"):
        standing[end - 1] += "\n"
    gap = ["\n"] if _is_spaced(standing, node) else []
    added = [f"{' ' * indent}{line}".rstrip() + "\n" for line in lines]
    return "".join([*standing[:end], *gap, *added, *standing[end:]])


def append_to_item(text: str, path: YamlPath, lines: Sequence[str]) -> str:
    """Return ``text`` with ``lines`` (keys, their names in column 0) at the end of the item at ``path``, which has a key a line."""
    *above, last = path
    parent, item = (_follow(yaml.compose(text, Loader=yaml.SafeLoader), steps) for steps in (above, path))
    if not isinstance(parent, yaml.SequenceNode) or not isinstance(item, yaml.MappingNode) or item.flow_style:
        raise ValueError(f"no item with a key a line at {_name(path)}: {last}")
    standing = text.splitlines(keepends=True)
    end = _end_of_item(standing, item, parent.start_mark.column)
    if not standing[end - 1].endswith("\n"):
        standing[end - 1] += "\n"
    return "".join([*standing[:end], *(f"{' ' * item.start_mark.column}{line}\n" for line in lines), *standing[end:]])


def rename_item(text: str, path: YamlPath, old: str, new: str) -> str:
    """Return ``text`` with the item called ``old`` of the list at ``path`` called ``new``; all else stays."""
    item = _follow(yaml.compose(text, Loader=yaml.SafeLoader), [*path, ("name", old)])
    if not isinstance(item, yaml.MappingNode):
        raise ValueError(f"{_name(path)} has no item {old}")
    node = next(value for key, value in item.value if key.value == "name")
    return text[: node.start_mark.index] + scalar(new) + text[node.end_mark.index :]


def _name(path: YamlPath) -> str:
    return ".".join(step if isinstance(step, str) else step[1] for step in path)


def _follow(node: yaml.Node | None, path: YamlPath) -> yaml.Node | None:
    for step in path:
        if isinstance(step, str) and isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), None)
        elif isinstance(step, tuple) and isinstance(node, yaml.SequenceNode):
            node = next((item for item in node.value if _has(item, *step)), None)
        else:
            return None
    return node


def _has(item: yaml.Node, key: str, value: str) -> bool:
    return isinstance(item, yaml.MappingNode) and any((k.value, v.value) == (key, value) for k, v in item.value)


def _end_of_item(lines: Sequence[str], item: yaml.Node, indent: int) -> int:
    """Return the number of lines up to the item's last one; comments that are indented into it belong to it."""
    last = item.start_mark.line
    stop = min(item.end_mark.line + (1 if item.end_mark.column else 0), len(lines))
    for number in range(item.start_mark.line, stop):
        if lines[number].strip() and (number == item.start_mark.line or _indent(lines[number]) > indent):
            last = number
    while last + 1 < len(lines) and lines[last + 1].lstrip().startswith("#") and _indent(lines[last + 1]) > indent:
        last += 1
    return last + 1


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _is_spaced(lines: Sequence[str], node: yaml.SequenceNode) -> bool:
    """Whether items, with the comments above them, have an empty line between them."""
    for item in node.value[1:]:
        above = item.start_mark.line - 1
        while lines[above].lstrip().startswith("#"):
            above -= 1
        if not lines[above].strip():
            return True
    return False
