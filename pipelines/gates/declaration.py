"""What is wrong with an expectation as it is written, before any column's type is known. So the catalog can tell it with its place.

Not here: columns and values of the column's type (``classes``).
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipelines.gates.arguments import find_untyped_problems
from pipelines.gates.rules import RULES, UNSUPPORTED, Rule
from pipelines.sync.spec import Expectation, Mask


@dataclass(frozen=True)
class DeclarationProblem:
    """One mistake; ``argument`` is the one that it is about, None for the expectation as a whole."""

    message: str
    argument: str | None = None


def check_declaration(expectation: Expectation, masks: Mapping[str, Mask]) -> list[DeclarationProblem]:
    """Return every mistake that can be seen without the source: name, class, arguments, and columns that are masked."""
    rule = RULES.get(expectation.name)
    if rule is None:
        return [DeclarationProblem(unknown_problem(expectation.name))]
    problems = declaration_problems(rule, expectation)
    meant = {did_you_mean(name, rule.arguments)[len("; did you mean `") : -len("`?")] for name in expectation.arguments}
    misspelt = {f"needs the argument `{name}`" for name in meant - set(expectation.arguments)}
    problems = [problem for problem in problems if problem.message not in misspelt]
    for argument in rule.columns:
        value = expectation.arguments.get(argument)
        names = value if isinstance(value, list) else [value]
        problems += [DeclarationProblem(told, argument) for name in names for told in masked_problem(rule, name, masks)]
        if argument in expectation.arguments and not _names_columns(argument, value):
            wanted = "a list of column names" if argument == "column_list" else "the name of a column, in quotes if it is no plain word"
            problems.append(DeclarationProblem(f"must be {wanted}, not {value!r}", argument))
    return problems + [DeclarationProblem(told, name) for name, told in find_untyped_problems(rule, expectation.arguments)]


def masked_problem(rule: Rule, column: object, masks: Mapping[str, Mask]) -> list[str]:
    """Say why a masked column cannot be judged, if so."""
    mask = masks.get(column) if isinstance(column, str) else None
    if mask == "drop":
        return [f"column `{column}` is dropped by its mask, so it never lands"]
    if mask == "hmac" and rule.reads_values:
        return [f"column `{column}` lands as an hmac, so its values cannot be judged"]
    return []


def unknown_problem(name: str) -> str:
    """Say why ``name`` is no gate."""
    if reason := UNSUPPORTED.get(name):
        return f"cannot be a gate on landed data: {reason}"
    return f"there is no such expectation{did_you_mean(name, RULES)}"


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """Return the question whether the nearest of ``words`` was meant; empty if none is near."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f"; did you mean `{close[0]}`?" if close else ""


def declaration_problems(rule: Rule, expectation: Expectation) -> list[DeclarationProblem]:
    """Return what is wrong with the class, ``mostly`` and the names of the arguments."""
    problems = []
    if rule.gate_class != "row" and expectation.on_failure == "quarantine":
        problems.append(DeclarationProblem("it judges the whole load, so no single row can step aside: it may hold or warn"))
    mostly = expectation.mostly
    if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 < mostly <= 1:
        problems.append(DeclarationProblem(f"`mostly` {mostly!r} is not a share above 0 and up to 1"))
    elif mostly < 1 and not rule.takes_mostly:
        problems.append(DeclarationProblem("it judges one number, so it takes no `mostly`"))
    for argument in expectation.arguments:
        if argument == "mostly":
            problems.append(DeclarationProblem("`mostly` stands beside `on_failure`, not among the arguments", argument))
        elif argument == "windows" and argument not in rule.arguments:
            able = ", ".join(name for name, other in RULES.items() if other.takes_windows)
            problems.append(DeclarationProblem(f"takes no `windows`: only the sizes of earlier loads are kept, for {able}", argument))
        elif argument not in rule.arguments:
            problems.append(DeclarationProblem(f"takes no argument `{argument}`{did_you_mean(argument, rule.arguments)}", argument))
    return problems + [DeclarationProblem(f"needs the argument `{name}`") for name in missing_arguments(rule, expectation)]


def missing_arguments(rule: Rule, expectation: Expectation) -> list[str]:
    """Return the arguments that the expectation needs and has not."""
    return [argument for argument in rule.columns + rule.required if argument not in expectation.arguments]


def _names_columns(argument: str, value: object) -> bool:
    if argument == "column_list":
        return isinstance(value, list) and bool(value) and all(isinstance(name, str) and name for name in value)
    return isinstance(value, str) and value != ""
