"""A guess as the catalog's text. ``discover`` and ``add`` write an entry through the same function. Pure.

Names stand in the text as they are in the source, whatever they are; comments are one line each, so no name can end one.
"""

from dataclasses import dataclass

from pipelines.discovery.guess import CatalogGuess, MaskGuess, TableGuess
from pipelines.discovery.yaml_text import comment, flow, scalar
from pipelines.errors import PrerequisiteError


@dataclass(frozen=True)
class CatalogHead:
    """What stands above the tables of a catalog file. It has no URL: the file is committed, the URL is not."""

    source: str
    url_env: str
    schema: str
    database: str


def write_catalog(head: CatalogHead, guess: CatalogGuess) -> str:
    """Return a whole catalog file. Raises ``PrerequisiteError`` if no table can be synced, with why each cannot."""
    if not guess.entries:
        raise PrerequisiteError(
            [f"`{name}` is left out: {reason}." for name, reason in guess.left_out],
            safe="Nothing was written.",
            remedy=f"The schema `{head.schema}` has no table that can be synced as it is; choose another one with --schema.",
        )
    where = f"the schema `{head.schema}` of the database `{head.database}`"
    lines = [
        comment(f"The tables of {where}, as `daybreak discover` guessed them: {len(guess.entries)}."),
        "# The guesses come from names, types, keys and the planner's estimates; no table was read. Check them, then they are yours.",
        "# `likely personal` is said by name and type alone; what it suggests goes under `columns:` of its table (--mask does that).",
        "# A table that has rows and is read whole must have a row in every load: an empty source must not empty the warehouse.",
        *_left_out(guess),
        f"source: {scalar(head.source)}",
        f"url_env: {scalar(head.url_env)} # the variable that holds the database's URL; read when a run needs it",
        f"schema: {scalar(head.schema)}",
        "contract: evolve # lossless changes of the source are followed",
        "tables:",
    ]
    for number, entry in enumerate(guess.entries):
        lines += ([""] if number else []) + [f"  {line}" for line in write_entry(entry)]
    return "\n".join(lines) + "\n"


def write_entry(guess: TableGuess) -> list[str]:
    """Return one table's entry as lines, its dash in column 0."""
    lines = [
        *(comment(note) for note in guess.notes),
        f"- name: {scalar(guess.name)}",
        f"  mode: {guess.mode} {comment(guess.mode_reason)}",
        f"  key: {flow(guess.key)} {comment(guess.key_reason)}" if guess.key else f"  {comment(guess.key_reason)}",
    ]
    if guess.cursor and guess.cursor.column:
        lines.append(f"  cursor: {scalar(guess.cursor.column)} {comment(guess.cursor.reason)}")
    if guess.partition:
        cut = f"{{column: {scalar(guess.partition.column)}, by: day, start: {guess.partition.start}, lookback_days: 2}}"
        lines.append(f"  partition: {cut} {comment(f'start: {guess.partition.start_reason}')}")
    lines += _columns(guess.masks)
    if guess.is_filled:
        lines += [
            "  expectations:",
            "    - expect_table_row_count_to_be_between: {min_value: 1} # it has rows now",
            "      on_failure: hold",
        ]
    return lines


def _columns(masks: tuple[MaskGuess, ...]) -> list[str]:
    on = [f"    {scalar(mask.column)}: {{mask: {mask.mask}}} {comment(mask.reason)}" for mask in masks if mask.is_on]
    off = []
    for mask in masks:
        if mask.mask is None:
            off.append(comment(f"likely personal: {scalar(mask.column)} ({mask.reason}, cannot be masked; sync a view that hides it)"))
        elif not mask.is_on:
            off.append(comment(f"likely personal: {scalar(mask.column)}: {{mask: {mask.mask}}} # {mask.reason}"))
    indent = "    " if on else "  "
    return [*(["  columns:"] if on else []), *on, *(f"{indent}{line}" for line in off)]


def _left_out(guess: CatalogGuess) -> list[str]:
    if not guess.left_out:
        return []
    return ["#", "# Left out:", *(comment(f"  {scalar(name)}: {reason}") for name, reason in guess.left_out)]
