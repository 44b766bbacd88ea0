"""What is wrong with a table's expectations: all of it at once, before a row is read.

An expectation in the wrong class, a misspelt column or a wrongly typed bound is a mistake in the catalog and never a
verdict on data. Light: it imports neither GX nor pandas. Not here: the table of expectations (``rules``).
"""

from collections.abc import Mapping, Sequence

import pyarrow as pa

from pipelines.errors import ConfigError
from pipelines.gates.arguments import convert_arguments, pair_problem
from pipelines.gates.bounds import is_accepted
from pipelines.gates.declaration import declaration_problems, did_you_mean, masked_problem, missing_arguments, unknown_problem
from pipelines.gates.rules import RULES, GateClass, Rule
from pipelines.sync.spec import Expectation, TableSpec


def find_class(expectation: Expectation) -> GateClass | None:
    """Return the class of an expectation; None if it cannot be a gate."""
    rule = RULES.get(expectation.name)
    return rule.class_with(expectation.arguments) if rule else None


def select_expectations(spec: TableSpec, gate_class: GateClass) -> tuple[Expectation, ...]:
    """Return the expectations of one class, in the catalog's order."""
    return tuple(expectation for expectation in spec.expectations if find_class(expectation) == gate_class)


def find_columns(rule: Rule, expectation: Expectation) -> tuple[str, ...]:
    """Return the columns that an expectation names, in the order of its arguments; nothing for what is no name."""
    values = (expectation.arguments.get(argument) for argument in rule.columns)
    names = (value if isinstance(value, list | tuple) else (value,) for value in values)
    return tuple(name for group in names for name in group if isinstance(name, str))


def check_expectations(spec: TableSpec, columns: Mapping[str, pa.DataType]) -> list[str]:
    """Return every problem of the table's expectations as a sentence; an empty list is a clean bill.

    ``columns`` are the source's columns and the Arrow types they land in; masks are applied here.
    """
    landed = {name: pa.string() if spec.masks.get(name) == "hmac" else kind for name, kind in columns.items()}
    problems = []
    for number, expectation in enumerate(spec.expectations, start=1):
        where = f"`{spec.id}`, expectation {number}, `{expectation.label}`"
        problems += [f"{where}: {problem}" for problem in _check(spec, expectation, landed)]
        if expectation in spec.expectations[: number - 1]:
            problems.append(f"{where}: is declared twice")
    return problems


def make_config_error(spec: TableSpec, problems: Sequence[str]) -> ConfigError:
    """Make the error that tells all of them, and where they are put right."""
    remedy = f"Correct the expectations of `{spec.name}` in catalog/{spec.source}.yaml."
    return ConfigError(problems, safe="Nothing became visible.", remedy=remedy)


def _check(spec: TableSpec, expectation: Expectation, landed: Mapping[str, pa.DataType]) -> list[str]:
    rule = RULES.get(expectation.name)
    if rule is None:
        return [unknown_problem(expectation.name)]
    problems = [problem.message for problem in declaration_problems(rule, expectation)]
    names = find_columns(rule, expectation)
    column_problems = [problem for name in names for problem in _column_problems(spec, rule, name, landed)]
    if len(set(names)) < len(names):
        column_problems.append("names a column twice")
    if len(names) < len(rule.columns) and all(argument in expectation.arguments for argument in rule.columns):
        column_problems.append(f"`{'`, `'.join(rule.columns)}` must name columns of the table")
    if not column_problems and not missing_arguments(rule, expectation):
        problems += _value_problems(rule, expectation, [landed[name] for name in names])
    return problems + column_problems


def _value_problems(rule: Rule, expectation: Expectation, types: Sequence[pa.DataType]) -> list[str]:
    if rule.columns == ("column_A", "column_B") and (problem := pair_problem(types)):
        return [problem]
    return convert_arguments(rule, expectation.arguments, types)[1]


def _column_problems(spec: TableSpec, rule: Rule, name: str, landed: Mapping[str, pa.DataType]) -> Sequence[str]:
    if masked := masked_problem(rule, name, {name: mask for name, mask in spec.masks.items() if mask == "drop" or name in landed}):
        return masked
    if name not in landed:
        return [f"there is no column `{name}`{did_you_mean(name, landed)}"]
    if not is_accepted(rule.accepts, landed[name]):
        return [f"column `{name}` is {landed[name]}, which it cannot judge"]
    return []
