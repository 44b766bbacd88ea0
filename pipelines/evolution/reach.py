"""How far a raw column goes: through which columns of which models, and what is certain of it. Pure.

Not here: what that means (``impact``).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING, Any

from pipelines.evolution.render import Manifest, relation_of

if TYPE_CHECKING:
    from pipelines.evolution.lineage import Traced


@dataclass
class Reach:
    """Where one column of the source arrives: by node, its columns; nodes of which the rows depend on it, and those that nobody knows."""

    columns: dict[str, list[str]] = field(default_factory=dict)
    nulls: set[tuple[str, str]] = field(default_factory=set)
    same: set[tuple[str, str]] = field(default_factory=set)
    rows: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    @property
    def nodes(self) -> set[str]:
        """All that is reached."""
        return {*self.columns, *self.rows, *self.unknown}

    def is_raw(self, parents: Iterable[str]) -> bool:
        """Whether one of the parents is the raw table itself."""
        return any(key.startswith("source.") and key in self.columns for key in parents)


def order_models(manifest: Manifest, nodes: Sequence[str]) -> list[str]:
    """Return the models and snapshots among ``nodes`` and above them, parents first."""
    graph: dict[str, list[str]] = {}
    waiting = list(nodes)
    while waiting:
        key = waiting.pop()
        node = manifest["nodes"].get(key)
        if key not in graph and node and node["resource_type"] in ("model", "snapshot"):
            graph[key] = node["depends_on"]["nodes"]
            waiting += graph[key]
    return [key for key in TopologicalSorter(graph).static_order() if key in graph]


def follow_column(manifest: Manifest, roots: Sequence[str], column: str, nodes: Sequence[str], traced: Mapping[str, "Traced"]) -> Reach:
    """Follow a column of the raw tables ``roots`` through the models among ``nodes``."""
    reach = Reach(columns={root: [column.lower()] for root in roots})
    reach.nulls = {(root, column.lower()) for root in roots}
    reach.same = set(reach.nulls)
    for key in order_models(manifest, nodes):
        parents = manifest["nodes"][key]["depends_on"]["nodes"]
        if key not in traced or reach.unknown.intersection(parents):
            if reach.nodes.intersection(parents):
                reach.unknown.add(key)
            continue
        by_relation = {relation_of(manifest["nodes"].get(parent) or manifest["sources"][parent]): parent for parent in parents}
        leaves = {(relation, name) for relation, parent in by_relation.items() for name in reach.columns.get(parent, ())}
        _arrive(reach, key, traced[key], {leaf: (by_relation[leaf[0]], leaf[1]) for leaf in leaves})
        if reach.rows.intersection(parents):
            reach.rows.add(key)
    return reach


def _arrive(reach: Reach, key: str, traced: "Traced", leaves: Mapping[Any, tuple[str, str]]) -> None:
    """Note which columns of a model are made of the ``leaves`` that were reached before."""
    passing = {name for (relation, name) in leaves if relation in traced.stars}
    for name in (*traced.columns, *sorted(passing - traced.columns.keys())):
        origin = traced.origin(name)
        if origin.reads & leaves.keys():
            reach.columns.setdefault(key, []).append(name)
            if any(leaves[leaf] in reach.nulls for leaf in origin.is_null_with & leaves.keys()):
                reach.nulls.add((key, name))
            if origin.same_as in leaves and leaves[origin.same_as] in reach.same:
                reach.same.add((key, name))
    if traced.rows & leaves.keys():
        reach.rows.add(key)
