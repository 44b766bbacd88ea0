"""Which models a build must touch: those whose inputs changed, less those that descend from a held table. Pure.

A model's inputs are its own code, configuration and tests, and the inputs of its parents, down to the load ids of the raw
tables. They are one text of two hashes, ``code-data``, so that a model is left alone exactly if nothing above it changed, and
an incremental one is built from its first row exactly if its code, or code above it, did.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from typing import Any

BUILT_TYPES = ("model", "seed", "snapshot")
RAW_PREFIX = "raw_"
# What a model's configuration says about people and pages, and not about its rows.
_TOLD_ONLY = ("meta", "tags", "docs", "persist_docs", "group", "access")


@dataclass(frozen=True)
class Known:
    """What a plan is made from: what stands in the warehouse, by the mirror and by the warehouse itself."""

    loads: Mapping[str, str | None]  # raw_<source>.<table> -> load id
    held: Set[str]  # such tables
    done: Mapping[str, str | None]  # unique id -> inputs of the model's last good build, if that is still there
    settings: tuple[str, ...] = ()  # what else the SQL depends on, such as the time zone


@dataclass(frozen=True)
class BuildPlan:
    """What to do with each model (by its unique id)."""

    inputs: Mapping[str, str]
    build: frozenset[str]
    left_out: Mapping[str, str]  # unique id -> why
    untested: frozenset[str]  # names of tests that compare with a left-out model
    is_full: bool  # an incremental model must be built from its first row


def plan_build(manifest: Mapping[str, Any], selected: Set[str], known: Known) -> BuildPlan:
    """Decide for the ``selected`` models."""
    inputs = _hash_inputs(manifest, known)
    reasons = _reasons(manifest, known)
    left_out = {model: reasons[model] for model in selected if reasons.get(model)}
    build = frozenset(model for model in selected if model not in left_out and known.done.get(model) != inputs[model])
    untested = frozenset(
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and any(reasons.get(p) for p in _parents(node))
    )
    is_full = any(
        manifest["nodes"][model]["config"].get("materialized") == "incremental" and _code(known.done.get(model)) != _code(inputs[model])
        for model in build
    )
    return BuildPlan({model: inputs[model] for model in selected}, build, left_out, untested, is_full)


def in_build_order(manifest: Mapping[str, Any], nodes: Iterable[str]) -> list[str]:
    """Return ``nodes`` with every parent before its children."""
    wanted = set(nodes)
    order = TopologicalSorter({unique_id: _parents(node) for unique_id, node in manifest["nodes"].items()}).static_order()
    return [unique_id for unique_id in order if unique_id in wanted]


def ancestors_of(manifest: Mapping[str, Any], nodes: Iterable[str]) -> set[str]:
    """Return the models and dbt sources that ``nodes`` descend from, and ``nodes`` themselves."""
    waiting, seen = list(nodes), set[str]()
    while waiting:
        unique_id = waiting.pop()
        if unique_id not in seen:
            seen.add(unique_id)
            waiting += _parents(manifest["nodes"].get(unique_id, {}))
    return seen


def raw_tables_under(manifest: Mapping[str, Any], nodes: Iterable[str]) -> set[str]:
    """Return the raw tables (``raw_<source>.<table>``) that ``nodes`` descend from."""
    return {_raw_table(manifest["sources"][unique_id]) for unique_id in ancestors_of(manifest, nodes) if unique_id in manifest["sources"]}


def _parents(node: Mapping[str, Any]) -> list[str]:
    return [parent for parent in node.get("depends_on", {}).get("nodes", []) if not parent.startswith("test.")]


def _raw_table(source: Mapping[str, Any]) -> str:
    return f"{source['schema']}.{source['identifier']}".replace('""', '"')  # an identifier stands between quotes


def _reasons(manifest: Mapping[str, Any], known: Known) -> Mapping[str, str]:
    """Return why each node is left out; the empty text for one that is not."""

    @cache
    def reason(unique_id: str) -> str:
        if unique_id in manifest["sources"]:
            table = _raw_table(manifest["sources"][unique_id])
            if table in known.held:
                return f"{table} is held"
            return f"{table} was never loaded" if table.startswith(RAW_PREFIX) and not known.loads.get(table) else ""
        if unique_id not in manifest["nodes"]:
            return ""
        return next((why for why in map(reason, _parents(manifest["nodes"][unique_id])) if why), "")

    return {unique_id: reason(unique_id) for unique_id in manifest["nodes"]}


def _hash_inputs(manifest: Mapping[str, Any], known: Known) -> Mapping[str, str]:
    """Return ``code-data`` by unique id. A test belongs to the data: a new one must be run, and changes no row."""
    tests: dict[str, list[str]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test":
            own = _digest([node.get("raw_code"), node.get("test_metadata"), node.get("config")])
            for parent in _parents(node):
                tests.setdefault(parent, []).append(own)
    macros, test_macros = _project_macros(manifest)

    @cache
    def code(unique_id: str) -> str:
        node = manifest["nodes"].get(unique_id)
        if node is None:
            return unique_id
        config = {name: value for name, value in node.get("config", {}).items() if name not in _TOLD_ONLY}
        types = {name: column.get("data_type") for name, column in node.get("columns", {}).items()}
        return _digest(
            [node.get("checksum"), node.get("raw_code"), config, types, macros, known.settings, [code(p) for p in _parents(node)]]
        )

    @cache
    def data(unique_id: str) -> str:
        if unique_id in manifest["sources"]:
            return _digest([known.loads.get(_raw_table(manifest["sources"][unique_id])), sorted(tests.get(unique_id, []))])
        node = manifest["nodes"].get(unique_id, {})
        told = [node.get("config"), node.get("columns"), node.get("description"), test_macros]
        return _digest([told, sorted(tests.get(unique_id, [])), [data(parent) for parent in _parents(node)]])

    built = (unique_id for unique_id, node in manifest["nodes"].items() if node["resource_type"] in BUILT_TYPES)
    return {unique_id: f"{code(unique_id)}-{data(unique_id)}" for unique_id in built}


def _project_macros(manifest: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the project's own macros, and its tests': dbt does not say which of them a materialization calls."""
    own = [macro for macro in manifest["macros"].values() if macro["package_name"] == manifest["metadata"]["project_name"]]
    code = sorted(macro["macro_sql"] for macro in own if not macro["name"].startswith("test_"))
    return code, sorted(macro["macro_sql"] for macro in own if macro["name"].startswith("test_"))


def _code(inputs: str | None) -> str:
    return inputs.partition("-")[0] if inputs else ""


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:24]
