"""Findings of all chunks to verdicts: counts are summed over the load, and only then is ``mostly`` applied.

Pure. Not here: evaluating (``great_expectations``, ``load_measures``), and what a failed verdict leads to; with
``on_failure: quarantine`` the failing rows step aside even where ``mostly`` is met, and that is the engine's to do.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from pipelines.gates.classes import find_class
from pipelines.gates.windows import read_windows
from pipelines.sync.model import Verdict
from pipelines.sync.protocols import LoadFinding, RowFinding
from pipelines.sync.spec import Expectation, TableSpec

MOST_EXAMPLES = 3  # failing rows that a verdict names: enough to look them up, and a line that can be read


def judge(spec: TableSpec, row_findings: Sequence[RowFinding], load_findings: Sequence[LoadFinding] | None) -> tuple[Verdict, ...]:
    """Return one verdict per expectation of ``spec``, in the catalog's order.

    ``row_findings`` are those of every chunk; none at all means that the load had no rows, which passes. With None for
    ``load_findings``, rows were judged and no load, so there are verdicts on rows only. ValueError if a finding belongs to
    no expectation or an expectation on the load has none: a gate that nobody asked must not pass.
    """
    findings: Sequence[RowFinding | LoadFinding] = (*row_findings, *(load_findings or ()))
    strangers = [finding.expectation.label for finding in findings if finding.expectation not in spec.expectations]
    if strangers:
        raise ValueError(f"Findings of `{spec.id}` for expectations that it does not have: {', '.join(strangers)}")
    names = name_checks(spec)
    verdicts = []
    for name, expectation in zip(names, spec.expectations, strict=True):
        if find_class(expectation) == "row":
            mine = [finding for finding in row_findings if finding.expectation == expectation]
            verdicts.append(_judge_rows(spec, name, expectation, mine))
        elif load_findings is not None:
            finding = next((finding for finding in load_findings if finding.expectation == expectation), None)
            if finding is None:
                raise ValueError(f"`{spec.id}`: {name} was not evaluated on the load")
            verdicts.append(_judge_load(spec, name, finding))
    return tuple(verdicts)


def name_checks(spec: TableSpec) -> tuple[str, ...]:
    """Return a readable and unique name per expectation: its label, and what sets it apart if the label repeats."""
    labels = Counter(expectation.label for expectation in spec.expectations)
    return tuple(
        expectation.label if labels[expectation.label] == 1 else f"{expectation.label}[{_describe(expectation)}]"
        for expectation in spec.expectations
    )


def is_share_met(evaluated: int, failed: int, mostly: float) -> bool:
    """Whether the share that did not fail reaches ``mostly``, exactly: 950 of 1,000 is 0.95. No rows pass."""
    return evaluated - failed >= Fraction(str(mostly)) * evaluated


def _describe(expectation: Expectation) -> str:
    arguments = {key: value for key, value in expectation.arguments.items() if key != "column"}
    if find_class(expectation) == "history":
        arguments = {"windows": " and ".join(f"{window.statistic} of {window.range}" for window in read_windows(arguments)[0])}
    if expectation.mostly != 1:
        arguments["mostly"] = expectation.mostly
    return ", ".join(f"{key}={value}" for key, value in (arguments | {"on_failure": expectation.on_failure}).items())


def _make_numbers(evaluated: int, failed: int, mostly: float) -> dict[str, float]:
    """``share`` is that of the failing rows among the evaluated ones."""
    share = failed / evaluated if evaluated else 0.0
    return {"evaluated": evaluated, "failed": failed, "share": share, "mostly": mostly}


def _judge_rows(spec: TableSpec, name: str, expectation: Expectation, findings: Sequence[RowFinding]) -> Verdict:
    evaluated = sum(finding.evaluated for finding in findings)
    failed = sum(finding.failed for finding in findings)
    passed = is_share_met(evaluated, failed, expectation.mostly)
    numbers: dict[str, Any] = {**_make_numbers(evaluated, failed, expectation.mostly)}
    examples = dict.fromkeys(example for finding in findings for example in finding.examples)
    numbers |= {"examples": list(examples)[:MOST_EXAMPLES]} if examples else {}
    return Verdict(spec.id, name, passed, expectation.on_failure, numbers)


def _judge_load(spec: TableSpec, name: str, finding: LoadFinding) -> Verdict:
    observed, expectation = finding.observed, finding.expectation
    if isinstance(observed, Mapping) and {"evaluated", "failed"} <= observed.keys():
        numbers = _make_numbers(observed["evaluated"], observed["failed"], expectation.mostly)
        return Verdict(spec.id, name, finding.passed, expectation.on_failure, numbers)
    numbers_of = dict(observed) if isinstance(observed, Mapping) else {"observed": observed, **_bounds(expectation)}
    return Verdict(spec.id, name, finding.passed, expectation.on_failure, numbers_of)


def _bounds(expectation: Expectation) -> dict[str, Any]:
    """Return what was asked of the number, as the catalog has it."""
    words = {"value": "exactly", "min_value": "more than" if expectation.arguments.get("strict_min") else "at least"}
    words |= {"max_value": "less than" if expectation.arguments.get("strict_max") else "at most"}
    given = ((word, expectation.arguments.get(name)) for name, word in words.items())
    return {word: value if isinstance(value, int | float | str) else str(value) for word, value in given if value is not None}
