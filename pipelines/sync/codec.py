"""The engine's words as JSON and back: for manifests, the ledger and the mirror. The format is the dataclasses' own fields."""

import hashlib
import json
from typing import Any

from pydantic import TypeAdapter

from pipelines.sync.model import Chunk, LoadPlan, Observation, Watermark
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec

PLAN = TypeAdapter(LoadPlan)
CHUNK = TypeAdapter(Chunk)
SCHEMA = TypeAdapter(TableSchema)
WATERMARK = TypeAdapter(Watermark)
OBSERVATIONS = TypeAdapter(tuple[Observation, ...])
_SPEC = TypeAdapter(TableSpec)
# Another name of the same table changes nothing; a schema has its identity. What becomes of deletes does not decide what lands.
_NAMES = {"relation", "followed", "deletes", "deleted_rows", "max_deletes"}


def fingerprint(spec: TableSpec) -> str:
    """Return a short hash of all that decides what is landed: a load of another fingerprint is not gone on with."""
    return hashlib.sha256(json.dumps(_SPEC.dump_python(spec, mode="json", exclude=_NAMES), sort_keys=True).encode()).hexdigest()[:16]


def content_fingerprint(spec: TableSpec) -> str:
    """Return a short hash of what decides which rows and values stand in the table; a change of it means: read all again."""
    days = spec.partition and (spec.partition.column, spec.partition.time_zone)
    decides = (spec.schema, spec.mode, spec.key, spec.cursor, days, sorted(spec.masks.items()))
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]


def dump(adapter: TypeAdapter[Any], value: object) -> str:
    """Return ``value`` as JSON text."""
    return adapter.dump_json(value).decode()
