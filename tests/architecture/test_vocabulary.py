"""One vocabulary: what the catalogs, runbooks and rules name is what the code knows."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import setpoint.settings as settings
from knowledge.causes import NO_FAULT, UNKNOWN, load_causes
from knowledge.rulebook import RuleBook
from knowledge.runbooks import load_corpus
from setpoint.settings import Settings, flatten_settings
from tools.actions import CATALOG, LOOP_ACTIONS


def test_every_remedy_and_every_action_of_a_runbook_is_in_the_catalog() -> None:
    remedies = {name for cause in load_causes().values() for name in cause.remedies}
    tagged = {step.action for section in load_corpus().values() for step in section.steps if step.action}
    assert remedies <= set(CATALOG)
    assert tagged <= set(CATALOG)


def test_every_action_can_be_reached_from_some_cause() -> None:
    """An action that nothing calls for is a risk without a use. Those of control loops answer no cause."""
    tagged = {step.action for section in load_corpus().values() for step in section.steps}
    remedies = {name for cause in load_causes().values() for name in cause.remedies}
    assert set(CATALOG) - remedies - tagged == LOOP_ACTIONS


def test_every_action_of_a_loop_is_called_for_by_a_loop() -> None:
    loops = [*Path("tools/loops").glob("*.py"), *Path("plant/control").rglob("*.py")]
    written = "".join(path.read_text(encoding="utf-8") for path in loops if path.name != "days_site.py")
    assert {name for name in LOOP_ACTIONS if f'"{name}"' not in written} == set()


def test_every_remedy_is_a_step_of_one_of_the_causes_runbooks() -> None:
    """Otherwise the guide can never call for it."""
    corpus = load_corpus()
    stranded = {
        f"{cause.id}: {name}"
        for cause in load_causes().values()
        for name in cause.remedies
        if not any(
            step.action == name for key in cause.sections if key in corpus for step in corpus[key].steps
        )
    }
    assert stranded == set()


def test_causes_name_sections_that_exist_and_have_a_way_to_be_found() -> None:
    for cause in load_causes().values():
        assert cause.sections, cause.id
        assert set(cause.sections) <= set(load_corpus()), cause.id
        assert cause.signature or cause.id in (UNKNOWN, NO_FAULT), f"{cause.id} can never be named"


def test_the_rules_hint_at_causes_of_the_catalog() -> None:
    hints = {hint for rule in RuleBook.load().rules for hint in getattr(rule, "causes", ())}
    assert hints
    assert hints <= set(load_causes())


def _sections() -> Iterator[type[BaseModel]]:
    for name, value in vars(settings).items():
        if (
            inspect.isclass(value)
            and issubclass(value, BaseModel)
            and name.endswith("Settings")
            and name != "Settings"
        ):
            yield value


@pytest.mark.parametrize("section", list(_sections()), ids=lambda section: section.__name__)
def test_every_setting_is_documented_where_it_is_defined(section: type[BaseModel]) -> None:
    body = ast.parse(inspect.getsource(section)).body[0]
    assert isinstance(body, ast.ClassDef)
    silent = []
    for item, after in zip(body.body, [*body.body[1:], None], strict=True):
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            field = section.model_fields[item.target.id]
            if not told and not field.description and item.target.id not in SPEAKS_FOR_ITSELF:
                silent.append(item.target.id)
    assert silent == []


SPEAKS_FOR_ITSELF: frozenset[str] = frozenset()
"""Settings that need no sentence. None does so far."""


def test_settings_have_unit_bearing_names() -> None:
    numbers = [
        key
        for key, value in flatten_settings(Settings()).items()
        if isinstance(value, float) and not isinstance(value, bool)
    ]
    units = ("_s", "_days", "_mb", "_h", "seconds_per_incident", "doubt_below")  # the last is a share
    assert [key for key in numbers if not key.endswith(units)] == []
