"""Ticks of the sensors on the real source, and their decision alone."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sensors.asking import PATIENCE, Asked, Probe, decide, read_cursor, write_cursor
from sensors.source_changes import make_source_changes
from tests.dagster.conftest import Daybreak

pytestmark = pytest.mark.slow

NOW = datetime(2026, 3, 10, 6, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)


def test_nothing_new_asks_for_nothing() -> None:
    decision = decide([Probe("orders", "5", "5"), Probe("empty", None, None)], {}, NOW)
    assert (decision.tables, decision.run_key, decision.skip_reason) == ((), None, "nothing new")


def test_new_rows_ask_once_for_exactly_their_tables() -> None:
    probes = [Probe("orders", "6", "5"), Probe("customers", "9", "9"), Probe("payments", "3", None)]
    first = decide(probes, {}, NOW)
    assert first.tables == ("orders", "payments")
    assert decide(probes, first.asked, LATER).skip_reason == "on its way, or waiting for a person: orders, payments"


def test_rows_that_keep_coming_while_a_run_is_on_its_way_do_not_pile_up_runs() -> None:
    asked = decide([Probe("orders", "6", "5")], {}, NOW).asked
    assert decide([Probe("orders", "7", "5")], asked, LATER).run_key is None


def test_once_the_run_committed_newer_rows_are_asked_for_at_once() -> None:
    asked = decide([Probe("orders", "6", "5")], {}, NOW).asked
    assert decide([Probe("orders", "8", "6")], asked, LATER).tables == ("orders",)


def test_a_doubled_tick_comes_to_the_same_run_key_and_a_second_try_does_not() -> None:
    probes = [Probe("orders", "6", "5")]
    first, doubled = decide(probes, {}, NOW), decide(probes, {}, NOW + timedelta(seconds=3))
    assert first.run_key == doubled.run_key
    again = decide(probes, first.asked, NOW + PATIENCE)
    assert again.tables == ("orders",)
    assert again.run_key != first.run_key


def test_missed_ticks_lose_nothing() -> None:
    assert decide([Probe("orders", "90", "5")], {}, NOW + timedelta(days=3)).tables == ("orders",)


def test_what_was_committed_is_forgotten() -> None:
    asked = decide([Probe("orders", "6", "5")], {}, NOW).asked
    assert decide([Probe("orders", "6", "6")], asked, LATER).asked == {}


@pytest.mark.parametrize("text", [None, "{}", '{"orders": {"value": "6", "at": "2026-03-10T06:00:00+00:00"}}'])
def test_a_cursor_of_another_release_is_forgotten(text: str | None) -> None:
    assert read_cursor(text) == {}


def test_the_cursor_survives_its_text() -> None:
    asked = {"orders": Asked("6", None, 2, NOW)}
    assert read_cursor(write_cursor(asked)) == asked


def tick(daybreak: Daybreak, cursor: str | None = None) -> dg.SensorResult:
    with daybreak.inside():
        definitions = daybreak.definitions()
        sensor = make_source_changes(daybreak.settings.sources()[0])
        context = dg.build_sensor_context(instance=daybreak.instance, cursor=cursor, definitions=definitions)
        result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_ticks_on_the_real_source(daybreak: Daybreak) -> None:
    daybreak.run()
    quiet = tick(daybreak)
    assert "nothing new" in str(quiet.skip_reason)

    daybreak.touch("customers", 2, "full_name = full_name || '?'")
    asked = tick(daybreak)
    (request,) = asked.run_requests or []
    assert request.asset_selection is not None
    keys = {key.to_user_string() for key in request.asset_selection}
    assert "raw_shop/customers" in keys
    assert "raw_shop/orders" not in keys
    assert "reports/morning" in keys
    assert request.tags["daybreak/because"] == "new rows in customers"
    assert not tick(daybreak, asked.cursor).run_requests

    result = daybreak.run("sync_tables", asset_selection=request.asset_selection)
    assert result.is_green, result.report
    assert not tick(daybreak, asked.cursor).run_requests
    assert result.outcomes()["shop.orders"] == "not run"


def test_new_rows_of_a_renamed_table_are_seen_and_one_that_is_gone_keeps_no_other_waiting(daybreak: Daybreak) -> None:
    daybreak.run()
    newest = "(select max(updated_at) from people) + interval '1 second'"
    daybreak.write("alter table customers rename to people", "alter table payments rename column updated_at to touched_at")
    try:
        daybreak.write(f"update people set full_name = full_name || '!', updated_at = {newest} where customer_id = 3")
        (request,) = tick(daybreak).run_requests or []
    finally:
        daybreak.write("alter table people rename to customers", "alter table payments rename column touched_at to updated_at")
    assert request.tags["daybreak/because"] == "new rows in customers"


def test_an_unreachable_source_is_a_skipped_tick_that_forgets_nothing(daybreak: Daybreak) -> None:
    url = daybreak.environment["SHOP_DATABASE_URL"]
    cursor = write_cursor({"orders": Asked("6", "5", 1, NOW)})
    try:
        daybreak.environment["SHOP_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/none"
        result = tick(daybreak, cursor)
    finally:
        daybreak.environment["SHOP_DATABASE_URL"] = url
    assert not result.run_requests
    assert result.cursor == cursor
    assert "did not answer" in str(result.skip_reason)


def test_a_change_that_a_run_answered_is_not_asked_for_again_until_the_source_changes_further() -> None:
    asked = decide([Probe("orders", "b", "a")], {}, NOW).asked
    held = NOW + timedelta(minutes=2)
    assert decide([Probe("orders", "b", "a", held)], asked, NOW + timedelta(days=1)).run_key is None
    assert decide([Probe("orders", "c", "a", held)], asked, NOW + timedelta(days=1)).tables == ("orders",)
    died = decide([Probe("orders", "b", "a", NOW - timedelta(days=1))], asked, NOW + PATIENCE)  # it was held long before that run
    assert died.tables == ("orders",)
