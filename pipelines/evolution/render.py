"""A model's Jinja as SQL, without dbt and without a warehouse: near enough to be read for which column is made of which. Pure.

The project's own macros are run; what only dbt or a package knows becomes a function call of its name and arguments. Where that is
no SQL, or hides a table, whoever reads it finds out (``lineage``) and says less.
"""

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import jinja2
from jinja2.sandbox import SandboxedEnvironment

Manifest = Mapping[str, Any]


class _Unknown(jinja2.Undefined):
    """A name that nobody here knows: as text its name, called the call."""

    def __getattr__(self, name: str) -> "_Unknown":
        if name.startswith("__"):
            raise AttributeError(name)
        return _Unknown(name=name)

    def __call__(self, *arguments: object, **_named: object) -> str:  # type: ignore[override]  # jinja's own raises
        return f"{self._undefined_name}({', '.join(map(str, arguments))})"

    def __str__(self) -> str:
        return str(self._undefined_name or "")


def render_model(manifest: Manifest, node: Mapping[str, Any]) -> str:
    """Return the SQL of a model as if it had been built before. Raises ``jinja2.TemplateError`` where that cannot be."""
    environment = SandboxedEnvironment(extensions=["jinja2.ext.do"], undefined=_Unknown)
    environment.globals.update(_make_names(manifest, node))
    macros = [macro["macro_sql"] for macro in manifest["macros"].values() if _is_ours(manifest, macro)]
    return environment.from_string("\n".join([*macros, node["raw_code"]])).render().strip()


def adapter_of(manifest: Manifest) -> str:
    """Return the kind of warehouse that a project's models are for."""
    return str(manifest["metadata"].get("adapter_type") or "duckdb")


def relation_of(node: Mapping[str, Any]) -> tuple[str, str]:
    """Return schema and name of what a node is in the warehouse, in lower case; an ephemeral model has a name of its own."""
    name = node.get("identifier") or node.get("alias") or node["name"]
    return str(node["schema"]).lower(), str(name).replace('""', '"').lower()


def _is_ours(manifest: Manifest, macro: Mapping[str, Any]) -> bool:
    is_macro = "macro " in macro["macro_sql"].partition("%}")[0]  # neither a test nor a materialization
    return is_macro and macro["package_name"] == manifest["metadata"].get("project_name")


def _make_names(manifest: Manifest, node: Mapping[str, Any]) -> dict[str, object]:
    parents = [manifest["nodes"].get(key) or manifest["sources"].get(key) for key in node["depends_on"]["nodes"]]

    def ref(*names: str, **_version: object) -> str:
        return next((_write(parent) for parent in parents if parent and parent["name"] == names[-1]), f"unknown_{names[-1]}")

    def source(group: str, name: str) -> str:
        key = (group, name)
        return next(
            (_write(parent) for parent in parents if parent and (parent.get("source_name"), parent["name"]) == key), f"unknown_{name}"
        )

    @jinja2.pass_context
    def dispatch(context: jinja2.runtime.Context, name: str, _package: str | None = None) -> Callable[..., object]:
        for prefix in (manifest["metadata"].get("adapter_type"), "default"):
            if found := context.get(f"{prefix}__{name}"):
                return found  # type: ignore[no-any-return]
        return _Unknown(name=name)

    return {
        "ref": ref,
        "source": source,
        "this": _write(node),
        "config": lambda *_, **__: "",
        "is_incremental": lambda: True,  # its filters are the part that a first build does not have
        "execute": False,
        "return": lambda value: value,
        "var": lambda name, default="": default,
        "env_var": lambda name, default="": default,
        "adapter": SimpleNamespace(dispatch=dispatch, quote=lambda name: f'"{name}"'),
        "api": SimpleNamespace(Relation=SimpleNamespace(create=_create_relation)),
    }


def _create_relation(*_: object, **parts: object) -> str:
    return ".".join(f'"{parts[part]}"' for part in ("schema", "identifier") if parts.get(part))


def _write(node: Mapping[str, Any]) -> str:
    return ".".join('"' + part.replace('"', '""') + '"' for part in relation_of(node))
