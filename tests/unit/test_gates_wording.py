"""What a person reads of the gates: sentences, a table that no name can break, and a call by name from the third morning on."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from pipelines.assets.gate_wording import describe_verdicts, tell_verdict
from pipelines.assets.table_results import make_result
from pipelines.delivery.markdown import escape_markdown
from pipelines.delivery.report import MorningReport, RunFacts, make_report
from pipelines.settings import load_settings
from pipelines.state.mirror import Mirror
from pipelines.sync.model import TableResult, Verdict
from pipelines.sync.spec import OnFailure, TableSpec

MORNING = date(2026, 3, 1)
TABLE = TableSpec("shop", "public", "orders", "snapshot", ("id",), owner="ann@example.com")


def rows(failed: int, evaluated: int = 1_000, on_failure: OnFailure = "quarantine", /, **numbers: Any) -> Verdict:
    """Make the verdict on rows of one load."""
    counts = {"evaluated": evaluated, "failed": failed, "share": failed / max(1, evaluated), "mostly": 1.0} | numbers
    share_met = evaluated - failed >= counts["mostly"] * evaluated
    return Verdict("shop.orders", "expect_x(total)", share_met, on_failure, counts)


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (rows(12, examples=["17", "23", "42"]), "12 of 1,000 rows failed (1.2%), e.g. 17, 23, 42 — set aside"),
        (rows(1, examples=["a, 1", "b, 2"]), "1 of 1,000 rows failed (0.1%), e.g. (a, 1), (b, 2) — set aside"),
        (rows(1, 1_000_000), "1 of 1,000,000 rows failed (below 0.1%) — set aside"),
        (rows(1_000), "1,000 of 1,000 rows failed (100.0%) — set aside"),
        (rows(12, 1_000, "hold"), "12 of 1,000 rows failed (1.2%) — holds the load"),
        (rows(12, 1_000, "warn"), "12 of 1,000 rows failed (1.2%) — a warning only"),
        (rows(12, 1_000, "hold", mostly=0.95), "12 of 1,000 rows failed (1.2%; 95% must pass) — tolerated"),
        (rows(12, 1_000, "quarantine", mostly=0.999), "12 of 1,000 rows failed (1.2%; 99.9% must pass) — set aside"),
        (rows(0), "none of 1,000 rows failed"),
        (rows(0, 0), "no rows to judge"),
        (Verdict("shop.orders", "x", True, "hold", {"past loads": "3 of 7"}), "past loads 3 of 7"),
        (
            Verdict("shop.orders", "x", False, "hold", {"rows": 12_000, "at least": 50_000, "mean of 7 past loads": 100_000.5}),
            "rows 12,000, at least 50,000, mean of 7 past loads 100000.5 — holds the load",
        ),
        (Verdict("shop.orders", "x", False, "warn", {"observed": None, "at most": 5}), "observed none, at most 5 — a warning only"),
    ],
)
def test_a_verdict_is_a_sentence(verdict: Verdict, told: str) -> None:
    assert tell_verdict(verdict) == told


def test_the_metadata_are_sentences_a_table_and_totals() -> None:
    quarantined = Verdict("shop.orders", "max_quarantined", True, "hold", {"quarantined": 12, "rows": 1_000, "at most": 50})
    made = describe_verdicts([quarantined, rows(12, examples=["17"])])
    assert made["expect_x(total) (quarantine)"] == "12 of 1,000 rows failed (1.2%), e.g. 17 — set aside"
    assert (made["gates_failed"], made["rows_failed"], made["rows_set_aside"]) == (1, 12, 12)
    assert made["gates"].md_str.splitlines() == [
        "| gate | on failure | verdict | found |",
        "| --- | --- | --- | --- |",
        "| max_quarantined | hold | passed | quarantined 12, rows 1,000, at most 50 |",
        "| expect_x(total) | quarantine | FAILED | 12 of 1,000 rows failed (1.2%), e.g. 17 — set aside |",
    ]


def test_a_gate_on_several_loads_is_one_entry_that_tells_failures_first_and_only_a_few() -> None:
    made = describe_verdicts([rows(0, 10), rows(1, 20), rows(2, 30), rows(3, 40)])
    told = made["expect_x(total) (quarantine)"]
    assert told.startswith("1 of 20 rows failed (5.0%) — set aside; 2 of 30")
    assert told.endswith("; and 1 more")
    assert (made["gates_failed"], made["rows_failed"]) == (1, 6)


@pytest.mark.parametrize("name", ["a|b", "`code`", "a\n| b |", "\\|", "**bold**", "<script>", "[x](y)", "~~x~~", "&#124;"])
def test_no_name_breaks_a_table_or_becomes_markup(name: str) -> None:
    made = describe_verdicts([Verdict("shop.orders", name, True, "warn", {"observed": 1})])
    head, rule, line = made["gates"].md_str.splitlines()
    assert line.count("|") == head.count("|") == rule.count("|") == 5
    assert not set(line) & set("`*<>[]~\\")


def test_underscores_of_a_name_stay_readable_and_are_no_emphasis() -> None:
    assert escape_markdown("expect_x(_id_) a_b") == "expect_x(&#95;id&#95;) a_b"


def test_a_report_with_odd_names_is_one_table() -> None:
    table = {"table": "shop.a|b\nc", "outcome": "held", "read": 1, "loaded": 0, "quarantined": 0, "data_as_of": None}
    text = MorningReport("r", "", "", [table], [], [], ["shop.a|b `is` held"]).as_markdown()
    assert "| shop.a&#124;b c | held | 1 | 0 | 0 | None |" in text
    assert "- **shop.a&#124;b &#96;is&#96; held**" in text


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(f"sqlite:///{tmp_path / 'state.db'}")


def hold(mirror: Mirror, mornings: int, table: TableSpec = TABLE) -> TableResult:
    """Hold a table on so many mornings in a row by a gate."""
    for morning in range(mornings):
        mirror.record_held(table.id, "gate expect_x(total) (failed 12)", f"load-{morning}", MORNING + timedelta(morning))
    return TableResult(
        table.id, "held", verdicts=(rows(12, 1_000, "hold", examples=["17"]),), held_reason="gate expect_x(total) (failed 12)"
    )


def check_of(mirror: Mirror, result: TableResult, table: TableSpec = TABLE) -> dg.AssetCheckResult:
    """Return the check `gate` as Dagster gets it."""
    return next(check for check in make_result(mirror, table, result).check_results or () if check.check_name == "gate")


def test_a_held_load_tells_the_gate_the_numbers_and_what_to_do(mirror: Mirror) -> None:
    check = check_of(mirror, hold(mirror, 1))
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert (check.description or "").startswith(
        "held: expect_x(total): 12 of 1,000 rows failed (1.2%), e.g. 17 — holds the load. Mend the source,"
    )
    assert "`daybreak release load-0`" in (check.description or "")
    assert "`daybreak quarantine show orders`" in (check.description or "")
    assert check.metadata["held_mornings"].value == 1
    assert check.metadata["held_load_id"].value == "load-0"


def test_a_repeated_key_is_not_offered_for_release(mirror: Mirror) -> None:
    hold(mirror, 1)
    repeated = Verdict("shop.orders", "key_is_unique", False, "hold", {"repeated keys": 2, "for example": "1, 2"})
    told = check_of(mirror, TableResult("shop.orders", "held", verdicts=(repeated,), held_reason="gate")).description or ""
    assert "repeated keys 2" in told
    assert "daybreak release" not in told


def test_a_source_that_is_down_is_not_offered_for_release(mirror: Mirror) -> None:
    mirror.record_held("shop.orders", "the source does not answer", None, MORNING)
    result = TableResult("shop.orders", "held", held_reason="the source does not answer")
    assert check_of(mirror, result).description == "held: the source does not answer"


@pytest.mark.parametrize(
    ("mornings", "start"),
    [(1, "held: "), (2, "held for 2 mornings, since 20"), (3, "ESCALATED to ann@example.com: held for 3 mornings, since 20")],
)
def test_the_check_calls_the_owner_from_the_third_morning_on(mirror: Mirror, mornings: int, start: str) -> None:
    assert (check_of(mirror, hold(mirror, mornings)).description or "").startswith(start)


def test_a_table_without_an_owner_is_escalated_too(mirror: Mirror) -> None:
    table = TableSpec("shop", "public", "orders", "snapshot", ("id",))
    told = check_of(mirror, hold(mirror, 3, table), table).description or ""
    assert told.startswith("ESCALATED to nobody (the catalog names no owner): held for 3 mornings")


CATALOG = """
source: shop
url_env: SHOP_DATABASE_URL
owner: ann@example.com
tables:
  - {name: orders, mode: snapshot}
  - {name: items, mode: snapshot, owner: bob@example.com}
  - {name: notes, mode: snapshot}
"""


@pytest.fixture
def report_problems(tmp_path: Path, mirror: Mirror) -> Callable[[Mapping[str, int]], list[str]]:
    """A report's problems, for tables that are held on so many mornings for one cause."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "shop.yaml").write_text(CATALOG)
    settings = load_settings({"DAYBREAK_HOME": str(tmp_path), "DAYBREAK_CATALOG": str(tmp_path / "catalog")})

    def report(mornings: Mapping[str, int]) -> list[str]:
        for name, count in mornings.items():
            for morning in range(count):
                mirror.record_held(f"shop.{name}", "no answer", None, MORNING + timedelta(morning))
        return list(make_report(settings, mirror, RunFacts("run", datetime.now(UTC), set(), set())).problems)

    return report


def test_the_report_tells_how_long_and_calls_each_late_owner_once(report_problems: Callable[[Mapping[str, int]], list[str]]) -> None:
    (problem,) = report_problems({"orders": 3, "items": 4, "notes": 1})
    assert problem.startswith(
        "ESCALATED to ann@example.com, bob@example.com: shop.orders, shop.items, shop.notes are held for 4 mornings, since "
    )
    assert problem.endswith(" UTC: no answer")


def test_the_report_on_the_first_morning_only_says_held(report_problems: Callable[[Mapping[str, int]], list[str]]) -> None:
    assert report_problems({"orders": 1}) == ["shop.orders is held: no answer"]
