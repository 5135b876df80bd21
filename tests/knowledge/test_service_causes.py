"""The two catalogs of services agree with each other."""

from __future__ import annotations

import pytest

from knowledge.service_causes import Mode, load_catalog, plain

CATALOG = load_catalog()
QUANTITIES = {quantity.id for quantity in CATALOG.quantities}
EVENTS = {"up", "down", "full", "zero", "low", "spikes", "alone"}


@pytest.mark.parametrize("mode", CATALOG.modes.values(), ids=lambda mode: mode.id)
def test_a_mode_names_only_what_exists(mode: Mode) -> None:
    assert set(mode.signs) <= set(CATALOG.signs)
    assert {move.split(".")[0] for move in mode.moves} <= QUANTITIES
    assert {move.split(".")[1] for move in mode.moves} <= EVENTS
    assert set(mode.waits) <= {kind for kind, _ in CATALOG.waits}
    assert mode.causes <= set(CATALOG.modes) - {mode.id}
    assert mode.quiet | mode.shows <= QUANTITIES
    assert set(mode.categories) <= set(CATALOG.categories)
    assert mode.needs <= set(mode.signs) | set(mode.moves) | {f"wait.{kind}" for kind in mode.waits}


def test_each_mode_fits_our_own_closed_list() -> None:
    own = {category.id for category in CATALOG.categories.values() if category.own}
    assert {mode.id for mode in CATALOG.modes.values() if not own & set(mode.categories)} == set()


def test_names_of_answers_are_written_as_they_are_compared() -> None:
    assert all(plain(name) == name for mode in CATALOG.modes.values() for name in (mode.id, *mode.also))


def test_every_sign_is_used_or_tells_time() -> None:
    used = {sign for mode in CATALOG.modes.values() for sign in mode.signs}
    idle = {sign.id for sign in CATALOG.signs.values() if sign.role not in ("recovery", "routine")} - used
    assert idle == set()
