"""Plant tools over the example sites, with a live simulated plant or without."""

from __future__ import annotations

import json
from datetime import datetime
from functools import cache
from typing import Any

from langchain_core.tools import BaseTool

from plant.sim import Plant
from plant.site import load_site, site_file_of
from setpoint.contracts.site import Site
from tests.tools.bench import NIGHT
from tools.plant_tools import PlantPorts, plant_tools
from tools.telemetry import Kept

SITES = ("demo", "hall-1024")
NO_HISTORY = Kept({})


def clock() -> datetime:
    return NIGHT


@cache
def site(name: str) -> Site:
    return load_site(site_file_of(name))


@cache
def quiet(name: str) -> Plant:
    """The site in its quiet state; not to be moved."""
    return Plant.start(site(name), NIGHT)


def ports(name: str) -> PlantPorts:
    plant = quiet(name)
    return PlantPorts(site(name), NO_HISTORY, clock, plant.telemetry, plant.copy)


@cache
def tools(name: str) -> dict[str, BaseTool]:
    return {tool.name: tool for tool in plant_tools(ports(name))}


def ask(name: str, tool: str, **args: Any) -> dict[str, Any]:
    """The tool's answer, which must be plain values."""
    answer = tools(name)[tool].invoke(args)
    assert isinstance(answer, dict), answer
    json.dumps(answer, allow_nan=False)
    return answer


def refused(name: str, tool: str, **args: Any) -> str:
    """What the tool says in place of an answer."""
    answer = tools(name)[tool].invoke(args)
    assert isinstance(answer, str), answer
    return answer
