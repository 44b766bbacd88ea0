"""Which types hold every value of which others, digit by digit. Pure."""

import pyarrow as pa

from pipelines.sync.shape import Column

_INTEGERS = (pa.int16(), pa.int32(), pa.int64())  # each holds the values of those before it
_INTEGER_DIGITS = {pa.int16(): 5, pa.int32(): 10, pa.int64(): 19}
_PLAIN_TEXTS = ("text", "character varying", "numeric")


def is_lossless(before: Column, after: Column, *, is_key: bool) -> bool:
    """Whether a column's values stay what they are, and are written the same way, when its type changes."""
    if before.arrow_type == after.arrow_type:
        return True
    if is_key and pa.types.is_string(after.arrow_type):
        return False  # a number has many texts, and rows are told apart by one
    # Of the types that land as text, these write a number as it was; a uuid or a json was made of it by somebody's rule.
    is_plain = not pa.types.is_string(after.arrow_type) or after.source_type.startswith(_PLAIN_TEXTS)
    return is_plain and is_widening(before.arrow_type, after.arrow_type)


def is_widening(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether every value of ``before`` is the same value, written the same way, in ``after``."""
    if before in _INTEGERS and after in _INTEGERS:
        return _INTEGERS.index(before) <= _INTEGERS.index(after)
    if pa.types.is_decimal(after):
        if before in _INTEGER_DIGITS:
            return bool(after.precision - after.scale >= _INTEGER_DIGITS[before])
        has_room = pa.types.is_decimal(before) and after.precision - after.scale >= before.precision - before.scale
        return bool(has_room and after.scale >= before.scale)
    if pa.types.is_string(after):
        # A number's text in the warehouse is its text in the source; a time's or a float's may be written otherwise.
        return before in _INTEGERS or bool(pa.types.is_decimal(before))
    return bool(before == pa.float32() and after == pa.float64())
