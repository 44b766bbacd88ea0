"""YAML text to plain values, with every mistake of the YAML itself: bad syntax, repeated keys, keys that are read as no text.

PyYAML keeps the last of two equal keys in silence, and reads a bare ``on`` as true and ``2026-01-01`` as a day. Keys of a
catalog are always text, so they are taken as they are written. Not here: what the values mean (``models``).
"""

from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any

import yaml

from pipelines.catalog.problem import Path, Problem

NOT_YAML = "not YAML"
MERGE = "tag:yaml.org,2002:merge"
_REMEDIES = {
    "cannot start any token": "indent with spaces, and put text that begins with a special character in quotes",
    "mapping values are not allowed here": "check the indentation, and put text with a colon in quotes",
    "but found another document": "write one source per file",
    "found undefined alias": "put text that begins with * in quotes",
    "could not determine a constructor": "put the text in quotes",
}


@dataclass
class Parsed:
    """A file's value (None if it could not be read at all), its nodes for positions, and the mistakes so far."""

    value: Any = None
    node: yaml.Node | None = None
    problems: list[Problem] = field(default_factory=list)


def parse_file(file: File) -> Parsed:
    """Return what the file says. Never raises: what cannot be read is a problem of the file."""
    try:
        content = file.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        return Parsed(problems=[Problem((), f"cannot be read: {error.strerror}", "mend its permissions")])
    except UnicodeDecodeError as error:
        place = _place_of(content.decode("latin-1"), error.start)
        return Parsed(problems=[Problem((), f"{NOT_YAML}: the file is not UTF-8", "save it as UTF-8", place)])
    return parse_text(text)


def parse_text(text: str) -> Parsed:
    """Return the value of one YAML document with its problems."""
    parsed = Parsed()
    try:
        loader = yaml.SafeLoader(text)
        parsed.node = loader.get_single_node()
        parsed.value = _Builder(loader, parsed.problems).build(parsed.node, ()) if parsed.node else None
    except yaml.reader.ReaderError as error:
        parsed.problems.append(
            Problem((), f"{NOT_YAML}: {error.reason}", "remove the invisible character", _place_of(text, error.position))
        )
    except yaml.YAMLError as error:
        parsed.problems.append(_syntax(error))
    return parsed


def _place_of(text: str, position: int) -> tuple[int, int]:
    return text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)


def _syntax(error: yaml.YAMLError) -> Problem:
    mark, said = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
    remedy = next((remedy for phrase, remedy in _REMEDIES.items() if phrase in said), "")
    return Problem((), f"{NOT_YAML}: {said}", remedy, (mark.line + 1, mark.column + 1) if mark else None)


class _Builder:
    """Builds plain values from nodes, noting problems on the way."""

    def __init__(self, loader: yaml.SafeLoader, problems: list[Problem]) -> None:
        self._loader, self._problems = loader, problems
        self._open: list[yaml.Node] = []  # the nodes that this one stands in: an alias to one of them has no end

    def build(self, node: yaml.Node, path: Path) -> Any:  # noqa: ANN401 - what YAML can say
        if any(node is outer for outer in self._open):
            self._note(node, path, f"{NOT_YAML}: an alias to what it stands in", "write it out")
            return None
        self._open.append(node)
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*path, number)) for number, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.pop()

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        self._check_keys(node, path)
        if any(key.tag == MERGE for key, _ in node.value):
            self._loader.flatten_mapping(node)
        pairs = {key.value: value for key, value in node.value if isinstance(key, yaml.ScalarNode)}
        return {name: self.build(value, (*path, name)) for name, value in pairs.items()}

    def _check_keys(self, node: yaml.MappingNode, path: Path) -> None:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, path, f"{NOT_YAML}: a list or a mapping where a name belongs", "put text that begins with [ or { in quotes")
            elif key.value in lines:
                self._note(key, (*path, key.value), f"is given twice; the first is in line {lines[key.value]}", "remove one of them")
            else:
                lines[key.value] = key.start_mark.line + 1

    def _scalar(self, node: yaml.Node, path: Path) -> object:
        try:
            value = self._loader.construct_object(node)
            # JSON writes a character beyond 16 bits as two escapes, and PyYAML leaves them two.
            return value.encode("utf-16", "surrogatepass").decode("utf-16") if isinstance(value, str) else value
        except UnicodeDecodeError:
            self._note(node, path, f"{NOT_YAML}: half of a character", "write the character itself")
        except (ValueError, OverflowError) as error:  # 2026-13-01
            self._note(node, path, f"{NOT_YAML}: {node.value} is read as a date, and {error}", "mend the date, or put it in quotes")
        except yaml.constructor.ConstructorError as error:
            self._note(node, path, _syntax(error).message, _syntax(error).remedy)
        return None

    def _note(self, node: yaml.Node, path: Path, message: str, remedy: str) -> None:
        self._problems.append(Problem(path, message, remedy, (node.start_mark.line + 1, node.start_mark.column + 1)))
