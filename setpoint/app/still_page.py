"""HTML pages that stand alone: one file, no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import setpoint
from setpoint.errors import BackendError

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def render_still(
    template: str,
    styles: Sequence[str],
    shown: Mapping[str, Any],
    *,
    filters: Mapping[str, Callable[..., object]] | None = None,
    functions: Sequence[Callable[..., object]] = (),
) -> str:
    """The page as text. `styles` are style sheets by file name, in order; `functions` are called by their own names in
    the template. Beside what is `shown` a template gets `style`, `policy` and `version`."""
    pages = Environment(
        loader=PackageLoader("setpoint.app"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    pages.filters |= dict(filters or {})
    pages.globals |= {function.__name__: function for function in functions}
    templates = files("setpoint.app").joinpath("templates")
    style = Markup("".join(templates.joinpath(name).read_text("utf-8") for name in styles))
    return pages.get_template(template).render(
        shown, style=style, policy=_POLICY, version=setpoint.__version__
    )


def write_still(path: Path, page: str) -> None:
    """Write the page, with the folders above it. Raises BackendError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise BackendError(f"cannot write the report: {error.strerror}", where=str(path)) from error
