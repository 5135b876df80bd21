"""Root cause of service incidents that no plant model covers: change points, order in time, elimination."""

from agents.service_causes.explain import explain_case, render
from agents.service_causes.findings import ServiceFindings

__all__ = ["ServiceFindings", "explain_case", "render"]
