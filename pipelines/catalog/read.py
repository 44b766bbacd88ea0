"""Reads the catalog folder and reports every problem of every file at once, as ``file:line:column path: message — remedy``.

It runs whenever the project loads, so it imports nothing heavy and needs no source, no secret and no warehouse.
"""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from pipelines.catalog.consistency import find_inconsistencies
from pipelines.catalog.models import SourceEntry
from pipelines.catalog.parse import NOT_YAML, Parsed, parse_file
from pipelines.catalog.problem import Problem, render_all
from pipelines.catalog.wording import word_problems
from pipelines.errors import ConfigError
from pipelines.sync.spec import SourceSpec


def read_catalog(folder: Path) -> tuple[SourceSpec, ...]:
    """Return the sources of ``folder``, by file name. Raises ``ConfigError`` with all problems."""
    problems: list[str] = []
    specs: list[SourceSpec] = []
    files: dict[str, Path] = {}
    for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        parsed = parse_file(file)
        spec, found = _judge(parsed)
        name = str(parsed.value.get("source", "")).casefold() if isinstance(parsed.value, Mapping) else ""
        if name and name in files:
            told = f"`{name}` is described by {files[name].name} too"
            found.append(Problem(("source",), told, "keep one file per source, or give one of them another name"))
        files.setdefault(name, file)
        problems += render_all(file, parsed.node, found)
        specs += [spec] if spec else []
    if not files:
        problems.append(f"{folder}: there is no *.yaml here — set DAYBREAK_CATALOG to a folder with one file per source")
    if problems:
        raise ConfigError(problems, safe="Nothing was read or written.", remedy="Mend the catalog and start again.")
    return tuple(specs)


def _judge(parsed: Parsed) -> tuple[SourceSpec | None, list[Problem]]:
    if not isinstance(parsed.value, Mapping):
        found = "is empty" if parsed.node is None else "is not a mapping of settings"
        return None, parsed.problems or [Problem((), f"the file {found}", "it needs `source`, `url_env` and `tables`")]
    problems = [*parsed.problems, *find_inconsistencies(parsed.value)]
    try:
        entry = SourceEntry.model_validate(parsed.value)
    except ValidationError as error:
        unread = {problem.path for problem in problems if problem.message.startswith(NOT_YAML)}
        return None, problems + [problem for problem in word_problems(error, parsed.node) if problem.path not in unread]
    return (None if problems else entry.to_spec()), problems
