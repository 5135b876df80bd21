"""`setpoint mcp`: other agents look at the site and propose, over the Model Context Protocol."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from setpoint.app.desk_calls import Who, desk_of, person


def mcp(
    store: Annotated[Path | None, typer.Option("--store", help="Folder of the ledger.")] = None,
    site: Annotated[Path | None, typer.Option("--site", help="The site's YAML file.")] = None,
    who: Who = "",
) -> None:
    """Offer the ops agent's reading tools, and `propose`, to another agent over standard input and output (MCP).

    Nothing is approved or done this way: what is proposed waits in the shift's queue, in the name of the person who
    started it. With `setpoint serve` running on the same store, the tools look through it, at the site as it is now.

    In the client's configuration: `{"mcpServers": {"setpoint": {"command": "setpoint", "args": ["mcp", "--store",
    "/var/lib/setpoint", "--as", "ada"]}}}`

    Example: `setpoint mcp --store /var/lib/setpoint`
    """
    from setpoint.app.mcp_server import serve_stdio

    serve_stdio(desk_of(store, site), person(who))
