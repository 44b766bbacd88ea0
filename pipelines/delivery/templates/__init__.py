"""The HTML, CSS and JavaScript of the dashboards, and the one place that fills them in. Every value is escaped.

Only what this package has written itself (`Markup`) goes in as it is.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment


def render_template(name: str, **values: object) -> str:
    """StrictUndefined: a misspelt name is an error here and not a blank on the page."""
    return _open_environment().get_template(name).render(values).strip()


def read_template(name: str) -> str:
    """A template as text, for CSS and JavaScript, which are not HTML and must not be escaped as such."""
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


@cache
def _open_environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined
    from markupsafe import Markup

    from pipelines.delivery.theme import DARK, LIGHT, write_css_variables

    environment = Environment(
        loader=FunctionLoader(read_template),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # CSS cannot be escaped as HTML; these are constants of this package.
    environment.globals["page_css"] = Markup(read_template("page.css"))
    environment.globals["light"] = Markup(write_css_variables(LIGHT))
    environment.globals["dark"] = Markup(write_css_variables(DARK))
    return environment
