"""All plant tools in one list, for chat, graphs and models."""

from __future__ import annotations

from langchain_core.tools import BaseTool

from tools.cooling_tools import cooling_tools
from tools.energy_tools import energy_tools
from tools.headroom_tools import headroom_tools
from tools.inference_tools import inference_tools
from tools.overview_tools import overview_tools
from tools.plan_tools import plan_tools
from tools.plant_ports import PlantPorts
from tools.rehearsal import rehearsal_tools
from tools.telemetry_tools import telemetry_tools

__all__ = ["PlantPorts", "plant_tools"]


def plant_tools(ports: PlantPorts) -> list[BaseTool]:
    """Every tool over the plant and its telemetry. They only read: what they try, they try on copies."""
    return [
        *inference_tools(ports), *energy_tools(ports), *cooling_tools(ports), *headroom_tools(ports), *plan_tools(ports),
        *overview_tools(ports), *rehearsal_tools(ports), *telemetry_tools(ports.site, ports.history, ports.clock),
    ]  # fmt: skip
