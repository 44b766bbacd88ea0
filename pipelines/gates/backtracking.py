r"""Keeps a regular expression that backtracks without end from stopping the whole morning.

pandas asks RE2, whose time is linear, for most patterns. It asks Python's ``re`` for those with a look-around, a back-reference
or ``\s``, and for ``\w``, ``\d`` and ``\b`` where the text is not ASCII. There, one value of forty letters can take a pattern
such as ``^(\w+\s?)+$`` longer than anybody waits, in C and with the interpreter's lock held: no thread, no timer and no heartbeat
gets a turn. So a pattern with a choice inside a repetition is first tried on the values in a process of its own, which the
system ends after some CPU seconds. Other patterns cost nothing here, and such a one 0.1 s and one more pass for each slice.
"""

import functools
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Any

# A slice has at most 65,536 values, which a sound pattern gets through in well under a second.
CPU_SECONDS = 10
_TRIAL = """
import json, re, resource, sys
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[1]), int(sys.argv[1]) + 1))
regexes, values = json.load(sys.stdin)
for regex in map(re.compile, regexes):
    for value in values:
        regex.search(value)
"""
_REPEATS = ("MAX_REPEAT", "MIN_REPEAT")


class Backtracks(Exception):
    """A pattern did not come to an end; the gate makes a ``ConfigError`` of it."""


def try_regexes(regexes: Sequence[str], values: Iterable[str], cpu_seconds: int = CPU_SECONDS) -> None:
    """Search the values for those of the patterns that may backtrack; raises ``Backtracks`` if that takes too long."""
    doubtful = [regex for regex in regexes if may_backtrack(regex)]
    if not doubtful:
        return
    command = [sys.executable, "-I", "-c", _TRIAL, str(cpu_seconds)]
    done = subprocess.run(command, input=json.dumps([doubtful, list(values)]), capture_output=True, text=True, check=False)
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        told = ", ".join(repr(regex) for regex in doubtful)
        remedy = "write it without a repetition or a choice inside a repetition"
        raise Backtracks(f"{told} was given up after {cpu_seconds} CPU seconds, because it tries every way to split a value: {remedy}")
    if done.returncode:
        raise Backtracks(f"a pattern could not be tried: {done.stderr.strip().splitlines()[-1:]}")


@functools.lru_cache(maxsize=256)
def may_backtrack(regex: str) -> bool:
    """Whether a repetition holds another one or a choice, so that one value may be split in many ways."""
    return _holds_choice(re._parser.parse(regex), is_repeated=False)  # type: ignore[attr-defined]


def _holds_choice(nodes: Any, *, is_repeated: bool) -> bool:  # noqa: ANN401 - re's own tree: lists and tuples
    for operator, argument in nodes:
        name = str(operator)
        if name in _REPEATS:
            fewest, most, inner = argument
            if (is_repeated and fewest != most) or _holds_choice(inner, is_repeated=is_repeated or most > 1):
                return True
        elif (name == "BRANCH" and is_repeated) or any(_holds_choice(inner, is_repeated=is_repeated) for inner in _inner(argument)):
            return True
    return False


def _inner(argument: Any) -> list[Any]:  # noqa: ANN401 - as above
    """Return the sub-patterns of a node: its own, or those in its list."""
    if isinstance(argument, re._parser.SubPattern):  # type: ignore[attr-defined]
        return [argument]
    return [sub for item in argument for sub in _inner(item)] if isinstance(argument, list | tuple) else []
