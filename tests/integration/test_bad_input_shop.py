"""The simulated shop in odd places and after somebody else's hands, through the command line."""

from pathlib import Path

import psycopg
from typer.testing import CliRunner, Result

from pipelines.cli.main import app
from pipelines.settings import load_settings


def shop(home: Path, *arguments: str) -> Result:
    done = CliRunner().invoke(app, ["shop", *arguments], env={"DAYBREAK_HOME": str(home), "SHOP_DATABASE_URL": "", "DAYBREAK_TODAY": ""})
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_the_shop_opens_in_a_home_with_quotes_and_tells_when_its_keys_are_taken(tmp_path: Path) -> None:
    home = tmp_path / 'it\'s "mine", $HOME `x` 100%'
    try:
        assert shop(home, "start", "--days", "1").exit_code == 0
        url = load_settings({"DAYBREAK_HOME": str(home)}).environment["SHOP_DATABASE_URL"]
        with psycopg.connect(url) as connection:
            (first, taken) = connection.execute("select max(order_id) + 1, count(*) from orders").fetchone() or (0, 0)
            connection.execute(
                "insert into orders (order_id, customer_id, status, currency, shipping_fee, placed_at, updated_at)"
                " select %s, customer_id, status, currency, shipping_fee, placed_at, updated_at from orders limit 1",
                (first,),
            )
        done = shop(home, "advance")
        assert done.exit_code == 2
        for told in ("duplicate key value", "Nothing was written", "Undo what was changed by hand", "daybreak shop start"):
            assert told in done.output
        with psycopg.connect(url) as connection:
            assert connection.execute("select count(*) from orders").fetchone() == (taken + 1,)
            connection.execute("delete from orders where order_id = %s", (first,))
        assert shop(home, "advance").exit_code == 0
    finally:
        assert shop(home, "stop").exit_code == 0
