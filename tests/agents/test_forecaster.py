"""The forecaster lets nothing through that contradicts itself or what is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from agents.forecaster import forecast
from setpoint.contracts.loops import Forecast, LoopName, Trouble, Watch
from tools.loops.ports import Loop

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
WATCH = Watch(loop="peak", at=NOW, readings={"site.own_kw": 1000.0})
BLOCKED = Trouble(kind="missing", what="feed-a is not read", instead="holds")


@dataclass
class Model:
    """A loop whose predictions are given."""

    made: Sequence[Forecast] | Exception
    name: LoopName = "peak"

    def predict(self, watch: Watch) -> Sequence[Forecast]:
        assert watch.loop == self.name
        if isinstance(self.made, Exception):
            raise self.made
        return self.made


def looked(made: Sequence[Forecast] | Exception, watch: Watch = WATCH) -> Any:
    return forecast(cast(Loop, Model(made)), watch)


def of(**changes: Any) -> Forecast:
    plain: dict[str, Any] = {
        "name": "site.own_kw", "title": "the site's draw", "unit": "kW", "start": NOW, "step_s": 900.0,
        "expected": (1010.0, 1040.0), "low": (980.0, 950.0), "high": (1050.0, 1100.0), "method": "test",
    }  # fmt: skip
    return Forecast(**(plain | changes))


def test_a_sound_forecast_passes_untouched() -> None:
    assert looked([of()]).forecasts == (of(),)
    assert looked([of()]).troubles == ()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"low": (980.0,)}, "2 expected values, 1 low and 2 high"),
        ({"expected": (), "low": (), "high": ()}, "0 expected values"),
        ({"expected": (1010.0, float("nan"))}, "no number at step 2"),
        ({"high": (1050.0, float("inf"))}, "no number at step 2"),
        ({"low": (1020.0, 950.0)}, "expects 1010 at step 1, outside its own interval 1020 to 1050"),
        ({"high": (1050.0, 1030.0)}, "expects 1040 at step 2"),
        ({"expected": (9000.0, 9000.0), "low": (8900.0, 8900.0), "high": (9100.0, 9100.0)}, "1000 kW is read now"),
    ],
)  # fmt: skip
def test_a_forecast_that_contradicts_itself_or_the_reading_is_dropped_and_told(
    changes: dict[str, Any], says: str
) -> None:
    found = looked([of(**changes), of(name="other", title="another")])
    assert [one.name for one in found.forecasts] == ["other"]
    (trouble,) = found.troubles
    assert trouble.kind == "uncertain"
    assert not trouble.blocks
    assert says in trouble.what
    (alone,) = looked([of(**changes)]).troubles
    assert alone.blocks, "without any forecast nothing may be proposed"


def test_a_wide_band_may_begin_far_from_the_reading() -> None:
    wide = of(expected=(9000.0, 9000.0), low=(0.0, 0.0), high=(20000.0, 20000.0))
    assert looked([wide]).forecasts == (wide,)


def test_a_failing_model_gives_a_trouble_and_no_exception() -> None:
    found = looked(ValueError("singular matrix"))
    assert found.forecasts == ()
    (trouble,) = found.troubles
    assert trouble.blocks
    assert "ValueError, singular matrix" in trouble.what


def test_where_the_site_is_not_read_a_failing_model_is_no_news() -> None:
    assert looked(KeyError("feed-a"), WATCH.model_copy(update={"troubles": (BLOCKED,)})).troubles == ()
