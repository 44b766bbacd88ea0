"""Which models a build must touch: those whose inputs changed, less those that descend from a held table. Pure.

A model's inputs are its own code, configuration and tests, and the inputs of its parents, down to the load ids of the raw
tables. They are one hash, so that a model is left alone exactly if nothing above it changed.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

BUILT_TYPES = ("model", "seed", "snapshot")


@dataclass(frozen=True)
class BuildPlan:
    """What to do with each model (by its unique id)."""

    inputs: Mapping[str, str]
    build: frozenset[str]
    left_out: Mapping[str, str]  # unique id -> why
    untested: frozenset[str]  # names of tests that compare with a left-out model


def plan_build(
    manifest: Mapping[str, Any], selected: Set[str], loads: Mapping[str, str | None], held: Set[str], done: Mapping[str, str | None]
) -> BuildPlan:
    """Decide for the ``selected`` models.

    ``loads`` are load ids by ``raw_<source>.<table>``, ``held`` are such tables; ``done`` the inputs of each model's last good
    build.
    """
    inputs = _hash_inputs(manifest, loads)
    reasons = _reasons(manifest, held)
    left_out = {model: reasons[model] for model in selected if reasons.get(model)}
    build = frozenset(model for model in selected if model not in left_out and done.get(model) != inputs[model])
    untested = frozenset(
        node["name"] for node in manifest["nodes"].values() if node["resource_type"] == "test" and any(reasons.get(p) for p in _parents(node))
    )
    return BuildPlan({model: inputs[model] for model in selected}, build, left_out, untested)


def in_build_order(manifest: Mapping[str, Any], nodes: Iterable[str]) -> list[str]:
    """Return ``nodes`` with every parent before its children."""
    wanted = set(nodes)
    order = TopologicalSorter({unique_id: _parents(node) for unique_id, node in manifest["nodes"].items()}).static_order()
    return [unique_id for unique_id in order if unique_id in wanted]


def raw_tables_under(manifest: Mapping[str, Any], nodes: Iterable[str]) -> set[str]:
    """Return the raw tables (``raw_<source>.<table>``) that ``nodes`` descend from."""
    found: set[str] = set()
    waiting, seen = list(nodes), set[str]()
    while waiting:
        unique_id = waiting.pop()
        if unique_id in seen:
            continue
        seen.add(unique_id)
        if unique_id in manifest["sources"]:
            found.add(_raw_table(manifest["sources"][unique_id]))
        elif unique_id in manifest["nodes"]:
            waiting += _parents(manifest["nodes"][unique_id])
    return found


def _parents(node: Mapping[str, Any]) -> list[str]:
    return [parent for parent in node.get("depends_on", {}).get("nodes", []) if not parent.startswith("test.")]


def _raw_table(source: Mapping[str, Any]) -> str:
    return f"{source['schema']}.{source['identifier']}"


def _reasons(manifest: Mapping[str, Any], held: Set[str]) -> Mapping[str, str]:
    """Return why each node is left out; the empty text for one that is not."""

    @cache
    def reason(unique_id: str) -> str:
        if unique_id in manifest["sources"]:
            table = _raw_table(manifest["sources"][unique_id])
            return f"{table} is held" if table in held else ""
        if unique_id not in manifest["nodes"]:
            return ""
        return next((why for why in map(reason, _parents(manifest["nodes"][unique_id])) if why), "")

    return {unique_id: reason(unique_id) for unique_id in manifest["nodes"]}


def _hash_inputs(manifest: Mapping[str, Any], loads: Mapping[str, str | None]) -> Mapping[str, str]:
    tests: dict[str, list[str]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            own = _digest([node.get("raw_code"), node.get("test_metadata"), node.get("config")])
            for parent in _parents(node):
                tests.setdefault(parent, []).append(own)

    @cache
    def digest(unique_id: str) -> str:
        if unique_id in manifest["sources"]:
            source = manifest["sources"][unique_id]
            return _digest([loads.get(_raw_table(source)), sorted(tests.get(unique_id, []))])
        node = manifest["nodes"].get(unique_id)
        if node is None:
            return ""
        macros = [manifest["macros"][name]["macro_sql"] for name in node["depends_on"].get("macros", []) if name in manifest["macros"]]
        code = [node.get("checksum"), node.get("raw_code"), node.get("config"), node.get("columns"), macros]
        return _digest([code, sorted(tests.get(unique_id, [])), [digest(parent) for parent in _parents(node)]])

    return {unique_id: digest(unique_id) for unique_id, node in manifest["nodes"].items() if node["resource_type"] in BUILT_TYPES}


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]
