"""A region written anew: renamed columns keep the model's names, dropped ones stay, new ones are added, and nothing else moves."""

import pyarrow as pa
import pytest

from pipelines.discovery.generate import History, _standing, read_region, renew_region
from pipelines.discovery.region import find_region, write_region
from pipelines.discovery.staging import stage_table
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec

KEYWORDS = frozenset({"order", "select"})
LOAD = "_load_id\n_loaded_at"


def version(columns: str, identity: str = "1") -> TableSchema:
    """Columns as `name:number name:number`; one without a number has no identity."""
    parts = [part.partition(":") for part in columns.split()]
    return TableSchema(tuple(Column(name, "text", pa.string(), identity=int(n) if n else None) for name, _, n in parts), identity)


def model(region: str, before: str = "", behind: str = "") -> str:
    """A model whose region has these lines; commas are put where they belong."""
    lines = region.split("\n")
    told = [f"        {line}{',' if behind or n + 1 < len(lines) else ''}" for n, line in enumerate(lines)]
    told = [line.replace(" -- dropped from the source,", ", -- dropped from the source") for line in told]
    marked = ["        -- daybreak: columns of shop.t, written by daybreak generate", *told, "        -- daybreak: end"]
    select = [*([f"        {before},"] if before else []), *marked, *([f"        {behind}"] if behind else [])]
    return "\n".join(["with\n\nrenamed as (\n    select", *select, "    from source\n)\n\nselect * from renamed\n"])


def renew(text: str, *versions: TableSchema, masks: dict[str, str] | None = None) -> str:
    """Return the model written anew, which written anew once more is the same."""
    history = History(TableSpec("shop", "public", "t", "snapshot", masks=masks or {}), versions)  # type: ignore[arg-type]
    for _ in range(2):
        region = read_region(text, "m.sql", history)
        assert region
        table = stage_table(history.spec, versions[-1], KEYWORDS, _standing(history, region))
        before, text = text, write_region(renew_region(region, table, history), "shop.t", KEYWORDS)
    assert text == before
    return text


V1 = version("id:1 fee:2")


@pytest.mark.parametrize(
    ("was", "versions", "now"),
    [
        ("id\nfee", (V1,), "id\nfee"),
        ("id\nfee", (V1, version("id:1 fee:2 note:3")), "id\nfee\nnote"),
        ("id\nfee", (V1, version("id:1 cost:2")), "id\ncost as fee"),
        ("id\nfee as shipping", (V1, version("id:1 cost:2")), "id\ncost as shipping"),
        ("id\nfee", (V1, version("id:1 cost:2"), version("id:1 price:2")), "id\nprice as fee"),
        ("id\ncost as fee", (V1, version("id:1 cost:2"), version("id:1 price:2")), "id\nprice as fee"),
        ("id\nfee", (V1, version("id:1 cost:2"), V1), "id\nfee"),
        ("id\nfee", (V1, version("id:1")), "id\nfee -- dropped from the source"),
        ("id\nfee -- dropped from the source", (V1, version("id:1"), version("id:1 fee:3")), "id\nfee"),
        # Its name belongs to another column now: the older one is `fee_before_v2` in the warehouse.
        ("id\nfee", (V1, version("id:1 fee:3")), "id\nfee"),
        ("id\nfee", (V1, version("id:1 cost:2 fee:3")), "id\ncost as fee\nfee as fee_2"),
        ("id\nfee", (V1, version("fee:1")), "fee as id"),
        ("id\nfee", (V1, version("fee:1 id:2 note:3")), "fee as id\nid as fee\nnote"),
        # Another relation, or none that is numbered: names are all there is, and nothing is called a rename.
        ("id\nfee", (V1, version("id:1 cost:2", "2")), "id\nfee -- dropped from the source\ncost"),
        ("id\nfee", (version("id fee"), version("id cost")), "id\nfee -- dropped from the source\ncost"),
        ('id\n"Fee" as fee', (version("id:1 Fee:2"), version("id:1 order:2")), 'id\n"ORDER" as fee'),
        ("id\nfee", (V1, version("id:1 fee:2 select:3")), 'id\nfee\n"SELECT" as select_value'),
        ("id\nfee\nfee as again", (V1, version("id:1 cost:2")), "id\ncost as fee\ncost as again"),
    ],
)
def test_a_region_follows_the_source(was: str, versions: tuple[TableSchema, ...], now: str) -> None:
    assert renew(model(f"{was}\n{LOAD}"), *versions) == model(f"{now}\n{LOAD}")


def test_what_is_written_around_a_region_stays_and_is_not_selected_twice() -> None:
    hand = "cast(fee as int) as fee,\n        {{ to_day('at, then') }} as day"
    text = model(f"id\n{LOAD}", behind=hand)
    assert renew(text, V1) == text
    added = renew(text, version("id:1 fee:2 day:3 note:4"))
    assert added == model(f"id\nday as day_2\nnote\n{LOAD}", behind=hand)
    assert renew(model("id\n_load_id as load\n_loaded_at", before="1 as one"), V1) == model(
        "id\nfee\n_load_id as load\n_loaded_at", before="1 as one"
    )


def test_comments_and_line_ends_stay() -> None:
    text = model(f"-- the key\nid\n{LOAD}").replace("-- the key,", "-- the key").replace("\n", "\r\n")
    made = renew(text, version("number:1 note:2"), version("id:1 note:2"))
    assert "        -- the key\r\n        id,\r\n        note,\r\n" in made
    assert made.count("\r\n") == made.count("\n")


def test_a_column_that_a_mask_took_out_of_the_warehouse_is_no_more_selected() -> None:
    assert renew(model(f"id\nfee\n{LOAD}"), V1, masks={"fee": "drop"}) == model(f"id\n{LOAD}")


def test_a_region_without_columns_gets_those_that_are_not_there() -> None:
    marked = "        -- daybreak: columns of t, written by daybreak generate\n        -- daybreak: end\n"
    made = renew(f"select\n        id,\n{marked}    from source\n", V1)
    assert made.endswith("        fee,\n        _load_id,\n        _loaded_at\n        -- daybreak: end\n    from source\n")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (model(f"cast(id as int) as id\n{LOAD}"), "`cast(id as int) as id,` is no plain column"),
        (model("id").replace("-- daybreak: end", ""), "a region is one line"),
        (model("id") * 2, "a region is one line"),
        (model(LOAD).replace("_load_id,", "_load_id"), "`_loaded_at` is no plain column with a comma"),
    ],
)
def test_a_region_with_anything_else_is_refused(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=r"^m\.sql: ") as refused:
        find_region(text, "m.sql")
    assert told in str(refused.value)


def test_a_model_without_a_region_has_none() -> None:
    assert find_region("select 1", "m.sql") is None
