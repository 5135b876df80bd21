"""Strict renderer: templates are files, an undefined variable is an error, every prompt names its template's hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, TemplateError, meta

from prompts.filling import capital, inner, phrase, phrases, required_slots
from prompts.tasks import INPUT_OF, DecideInput, OperateInput, Task, TaskInput
from setpoint.errors import ConfigError

TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Prompt:
    """One rendered prompt. `hash` identifies the templates it came from, not this text."""

    task: Task
    system: str
    user: str
    hash: str


def render(task: Task, inputs: TaskInput, *, show_values: bool = False) -> Prompt:
    """The prompt for `task`.

    With `show_values` the instructions are spelled out and each slot shows its value: for larger models.
    Without it (the bundled model) the prompt is terse and holds no fact at all.
    Raises ConfigError where the inputs belong to another task or a template misses a variable.
    """
    if not isinstance(inputs, INPUT_OF[task]):
        raise ConfigError(
            f"prompt {task!r} takes {INPUT_OF[task].__name__}, got {type(inputs).__name__}",
            where="prompts",
            remedy="pass the inputs of the task",
        )
    values = {field.name: getattr(inputs, field.name) for field in fields(inputs)}
    values |= {"task": task, "show_values": show_values}
    if not isinstance(inputs, DecideInput | OperateInput):
        values |= {"phrases": phrases(inputs), "required": required_slots(inputs)}
    try:
        system, user = (_template(name).render(values).strip() for name in (_system_of(task), task))
    except TemplateError as error:
        raise ConfigError(
            f"cannot render: {error}", where=f"prompts/templates/{task}.j2", remedy="mend the template"
        ) from error
    return Prompt(task=task, system=system, user=user, hash=template_hash(task))


@cache
def template_hash(task: Task) -> str:
    """Hash over every template file that takes part in `task`, the shared ones included."""
    digest = hashlib.sha256()
    for name in sorted(_files_of(f"{_system_of(task)}.j2") | _files_of(f"{task}.j2")):
        digest.update(name.encode() + b"\0" + (TEMPLATES / name).read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def _environment() -> Environment:
    # Plain text for a model, never HTML: escaping would change the operator's words.
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"phrase": phrase, "capital": capital, "inner": inner}
    return environment


def _system_of(task: Task) -> str:
    """A model that decides or calls tools is told other things than one that words."""
    return f"{task}_system" if task in ("decide", "operate") else "system"


def _template(name: str) -> Template:
    return _environment().get_template(f"{name}.j2")


def _files_of(name: str) -> set[str]:
    tree = _environment().parse((TEMPLATES / name).read_text(encoding="utf-8"))
    found = {name}
    for part in meta.find_referenced_templates(tree):
        if part is not None:
            found |= _files_of(part)
    return found
