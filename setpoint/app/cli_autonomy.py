"""`setpoint autonomy ...`: what each kind of action may do without being asked, and who said so."""

from __future__ import annotations

from typing import Annotated

import typer

from setpoint.app.desk_calls import Json, Store, Why, group, person, tell

autonomy = group(
    "What each kind of action may do without being asked: observe, assist, advise or closed loop. Earned from "
    "decisions and rehearsals, given by people, lost at once."
)
Kind = Annotated[
    str, typer.Argument(help="A kind of action of the catalog, as cap_gpu_power.", metavar="KIND")
]
Who = Annotated[
    str,
    typer.Option("--who", "--as", help="Who says so (default: your login name).", envvar="SETPOINT_USER"),
]


@autonomy.command("show")
def autonomy_show(
    kind: Annotated[str, typer.Argument(help="One kind with its whole record.", metavar="[KIND]")] = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Level, record and bound of each kind, what holds it there and what it would take to rise.

    Examples: `setpoint autonomy show`; `setpoint autonomy show cap_gpu_power`
    """
    if kind:
        tell(store, as_json, "autonomy_kind", "autonomy_show", kind=kind)
    else:
        tell(store, as_json, "autonomy_kinds", "autonomy_list")


@autonomy.command("set")
def autonomy_set(
    kind: Kind,
    level: Annotated[str, typer.Argument(help="observe, assist or advise; closed loop is signed for.")],
    why: Why,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Give a kind another level: down always, up where its record allows. Exit 4 where it does not.

    observe: only mentioned in the analysis; assist: put to a person; advise: put first, with a recommendation.

    Example: `setpoint autonomy set page observe --why "the pager is being replaced"`
    """
    tell(store, as_json, "autonomy_changed", "autonomy_set", kind=kind, level=level, who=person(who), why=why)


@autonomy.command("sign")
def autonomy_sign(
    kind: Kind,
    who: Annotated[str, typer.Option("--who", help="The person who answers for it. Always given by name.")],
    why: Why,
    per_hour: Annotated[
        int | None,
        typer.Option("--per-hour", min=1, help="At most so many an hour (default: the setting's)."),
    ] = None,
    per_day: Annotated[
        int | None, typer.Option("--per-day", min=1, help="At most so many a day (default: the setting's).")
    ] = None,
    assets: Annotated[str, typer.Option("--assets", help="Glob over asset names.")] = "*",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Let a kind run alone, within limits. Needs its record; stands in the audit chain. Exit 4 where it has not earned it.

    Example: `setpoint autonomy sign cap_gpu_power --who "Ada Lovelace" --why "200 caps, no harm" --per-hour 2
    --assets 'gpu-0*'`
    """
    tell(
        store, as_json, "autonomy_changed", "autonomy_sign", kind=kind, who=who, why=why, per_hour=per_hour,
        per_day=per_day, assets=assets,
    )  # fmt: skip


@autonomy.command("revoke")
def autonomy_revoke(
    why: Why,
    kind: Annotated[str, typer.Argument(help="A kind of action.", metavar="[KIND]")] = "",
    all: Annotated[bool, typer.Option("--all", help="Every kind above assist.")] = False,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Back to assist, at once: a person is asked again.

    Examples: `setpoint autonomy revoke cap_gpu_power --why "new firmware"`; `setpoint autonomy revoke --all --why audit`
    """
    tell(store, as_json, "autonomy_revoked", "autonomy_revoke", kind=kind, all=all, who=person(who), why=why)


@autonomy.command("harm")
def autonomy_harm(
    action: Annotated[
        str,
        typer.Argument(help="Key of the action, or id of its review, as REV-3a06b7e807.", metavar="ACTION"),
    ],
    why: Why,
    who: Who = "",
    as_json: Json = False,
    store: Store = None,
) -> None:
    """Say that an executed action did harm. Its kind falls to assist at once, whatever its record.

    Example: `setpoint autonomy harm REV-3a06b7e807 --why "the batch job missed its deadline"`
    """
    tell(store, as_json, "harmed", "autonomy_harm", action=action, who=person(who), why=why)
