"""What stands on a raw table, from dbt's manifest. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KINDS = {"model": "model", "snapshot": "snapshot", "exposure": "dashboard"}


@dataclass(frozen=True)
class Touched:
    """One thing that is built on a table, and how: a view follows by itself, a table when it is built next."""

    kind: str
    name: str


def list_touched(manifest: Mapping[str, Any], source: str, table: str) -> Sequence[Touched]:
    """Return what descends from ``raw_<source>.<table>``, in the order in which it is reached."""
    roots = [node["unique_id"] for node in manifest["sources"].values() if (node["schema"], node["identifier"]) == (f"raw_{source}", table)]
    return [touched for unique_id in _descend(manifest["child_map"], roots) if (touched := _describe(manifest, unique_id))]


def _descend(children: Mapping[str, Sequence[str]], roots: Sequence[str]) -> Iterator[str]:
    waiting, seen = list(roots), set(roots)
    while waiting:
        for child in children.get(waiting.pop(0), ()):
            if child not in seen:
                seen.add(child)
                waiting.append(child)
                yield child


def _describe(manifest: Mapping[str, Any], unique_id: str) -> Touched | None:
    node = manifest["nodes"].get(unique_id) or manifest["exposures"].get(unique_id) or {}
    kind = _KINDS.get(node.get("resource_type", ""))
    return Touched(kind, node["name"]) if kind else None
