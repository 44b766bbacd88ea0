"""Reads the catalog folder and reports every problem of every file at once, as ``file:line:column path: message``."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipelines.catalog.models import SourceEntry
from pipelines.errors import ConfigError
from pipelines.sync.spec import SourceSpec

Position = tuple[int, int]


def read_catalog(folder: Path) -> tuple[SourceSpec, ...]:
    """Return the sources of ``folder``, by file name. Raises ``ConfigError`` with all problems."""
    files = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    problems: list[str] = []
    sources: list[SourceSpec] = []
    for file in files:
        spec, wrong = _read_file(file)
        problems.extend(wrong)
        if spec and any(spec.name == other.name for other in sources):
            problems.append(f"{file}:1:1 source: `{spec.name}` is described by another file too; one file per source")
        elif spec:
            sources.append(spec)
    if not files:
        problems.append(f"{folder}: there is no *.yaml here; set DAYBREAK_CATALOG to a folder with one file per source")
    if problems:
        raise ConfigError(problems, safe="Nothing was read or written.", remedy="Mend the catalog and start again.")
    return tuple(sources)


def _read_file(file: Path) -> tuple[SourceSpec | None, list[str]]:
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2026-13-01
        mark = getattr(error, "problem_mark", None)
        where = f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"
        return None, [f"{file}:{where} not YAML: {getattr(error, 'problem', None) or error}"]
    if not isinstance(value, dict):
        return None, [f"{file}:1:1 expected a mapping with `source`, `url_env` and `tables`"]
    try:
        return SourceEntry.model_validate(value).to_spec(), []
    except ValidationError as error:
        return None, [_render(file, node, problem) for problem in error.errors()]


def _render(file: Path, node: yaml.Node | None, problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    path = [step for step in problem["loc"] if step != "[key]"]
    line, column = _position(node, path)
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        message = "there is no such setting; see docs/catalog.md"
    return f"{file}:{line}:{column} {'.'.join(map(str, path)) or 'file'}: {message}"


def _position(node: yaml.Node | None, path: list[str | int]) -> Position:
    """Return line and column (1-based) of the deepest node on ``path`` that the file has."""
    found = node.start_mark if node else None
    for step in path:
        if isinstance(node, yaml.MappingNode):
            pair = next(((key, value) for key, value in node.value if key.value == step), None)
            if pair is None:
                break
            found, node = pair[0].start_mark, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            found = node.start_mark
        else:
            break
    return (found.line + 1, found.column + 1) if found else (1, 1)
