"""What a change of the source's schema means: renames by identity, widening, refusals and contracts."""

from dataclasses import replace

import pyarrow as pa
import pytest

from pipelines.errors import PrerequisiteError, SchemaRefused
from pipelines.sync.schema import Known, check_names, plan_changes, raw_columns
from pipelines.sync.shape import Column, TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.sync.widening import is_widening

SPEC = TableSpec("shop", "public", "t", "snapshot", key=("id",))
OTHER = "the table is another one now: restored, moved or replaced"
INT, BIG, TEXT, STAMP = pa.int32(), pa.int64(), pa.string(), pa.timestamp("us")


def column(number: int, name: str, type_: pa.DataType = TEXT) -> Column:
    return Column(name, str(type_), type_, identity=number)


def schema(*columns: Column, identity: str = "1/2/3") -> TableSchema:
    return TableSchema(columns, identity)


def told(before: TableSchema, after: TableSchema, spec: TableSpec = SPEC) -> list[str]:
    return [str(change) for change in plan_changes(spec, Known(before), after)]


def test_the_first_schema_is_no_change() -> None:
    assert plan_changes(SPEC, Known(None), schema(column(1, "id"))) == ()


def test_a_rename_is_known_by_the_column_number() -> None:
    assert told(schema(column(1, "a")), schema(column(1, "b"))) == ["a is now called b"]


def test_two_columns_that_swap_names_are_two_renames() -> None:
    assert told(schema(column(1, "a"), column(2, "b")), schema(column(1, "b"), column(2, "a"))) == [
        "a is now called b",
        "b is now called a",
    ]


def test_drop_and_add_of_one_type_are_not_called_a_rename() -> None:
    assert told(schema(column(1, "a")), schema(column(2, "b"))) == ["add b", "drop a"]


def test_a_rename_beside_a_new_column_of_the_old_name_keeps_both_apart() -> None:
    assert told(schema(column(1, "a")), schema(column(1, "b"), column(2, "a"))) == ["a is now called b", "add a"]


def test_in_a_restored_table_names_decide_and_nothing_is_a_rename() -> None:
    assert told(schema(column(1, "a"), column(2, "b")), schema(column(1, "b"), column(2, "a"), identity="9/9/9")) == [OTHER]
    assert told(schema(column(1, "a")), schema(column(1, "b"), identity="9/9/9")) == [OTHER, "add b", "drop a"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *((INT, BIG), (pa.int16(), INT), (INT, TEXT), (BIG, pa.decimal128(19, 0)), (pa.decimal128(10, 2), pa.decimal128(12, 2))),
        *((pa.decimal128(10, 2), pa.decimal128(14, 4)), (pa.decimal128(10, 2), TEXT), (pa.float32(), pa.float64())),
    ],
)
def test_a_type_that_holds_every_value_of_the_other_is_a_widening(before: pa.DataType, after: pa.DataType) -> None:
    assert is_widening(before, after)
    assert not is_widening(after, before)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        *(
            (BIG, pa.decimal128(18, 0)),
            (pa.decimal128(10, 2), pa.decimal128(10, 4)),
            (pa.date32(), STAMP),
            (STAMP, TEXT),
            (pa.float64(), TEXT),
        ),
        *((STAMP, pa.timestamp("us", tz="UTC")), (pa.bool_(), INT), (TEXT, INT), (BIG, pa.float64())),
    ],
)
def test_a_type_that_may_lose_values_is_refused(before: pa.DataType, after: pa.DataType) -> None:
    with pytest.raises(SchemaRefused, match=r"may not hold every value.*daybreak apply shop --approve [0-9a-f]{8}"):
        plan_changes(SPEC, Known(schema(column(1, "a", before))), schema(column(1, "a", after)))


@pytest.mark.parametrize(("contract", "remedy"), [("freeze", "change the contract of `t`"), ("approve", "daybreak apply shop --approve")])
def test_a_contract_other_than_evolve_refuses_a_lossless_change_and_names_the_remedy(contract: str, remedy: str) -> None:
    spec, before = replace(SPEC, contract=contract), Known(schema(column(1, "a")))  # type: ignore[arg-type]
    with pytest.raises(SchemaRefused, match=f"add b; the contract is `{contract}`.*{remedy}"):
        plan_changes(spec, before, schema(column(1, "a"), column(2, "b")))
    assert plan_changes(spec, before, schema(column(1, "a"))) == ()


def test_comments_and_defaults_are_not_the_shape() -> None:
    before = schema(column(1, "a"))
    after = replace(before, comment="x", columns=(replace(before.columns[0], comment="y", default="1"),))
    assert before != after
    assert before.shape == after.shape
    assert told(before, after, replace(SPEC, contract="freeze")) == []


def test_masked_columns_are_gone_or_text() -> None:
    spec = replace(SPEC, masks={"a": "drop", "b": "hmac"})
    assert [(one.name, one.arrow_type) for one in raw_columns(spec, schema(column(1, "a"), column(2, "b", INT)))] == [("b", TEXT)]
    assert told(schema(column(1, "a", BIG)), schema(column(1, "a", INT)), spec) == []


def test_names_that_fold_to_one_are_refused_unless_one_is_dropped() -> None:
    both = schema(column(1, "Name"), column(2, "name"))
    with pytest.raises(PrerequisiteError, match="one name to the warehouse"):
        check_names(SPEC, both)
    check_names(replace(SPEC, masks={"Name": "drop"}), both)
