"""`setpoint model ...` as it is typed."""

from __future__ import annotations

import gc
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evals import model_bench, model_verdicts
from evals.model_verdicts import Extent
from setpoint.app.cli import main
from setpoint.app.doctor import _role
from setpoint.app.model_cards import keep, key_of, listed, measured
from setpoint.app.modelcheck import missing_models
from setpoint.app.opening import versions
from setpoint.llm.registry import BUNDLED, Registry
from setpoint.settings import ModelSettings, ModelsSettings, Settings, StoreSettings
from tests.evals.model_doubles import Capable, Chatter
from tests.graphs.openai_double import scripted_server

# Inspect leaves streams of its own open; they are collected here, so that no other test meets them.
pytestmark = [
    pytest.mark.filterwarnings(
        "ignore::pytest.PytestUnraisableExceptionWarning", "ignore:Unclosed:ResourceWarning"
    ),
    pytest.mark.skipif(not BUNDLED.is_file(), reason="the bundled model is not in this checkout"),
]


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


Cli = Callable[..., Ran]


@pytest.fixture(autouse=True)
def collected() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """`setpoint model ARGS` in an empty folder, without settings of the person who runs the tests."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("COLUMNS", "160")

    def run(*arguments: str) -> Ran:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["setpoint", "model", *arguments])
        code = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else 1
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """With one model of ours in it, "mine"."""
    (tmp_path / "mine.gguf").write_bytes(BUNDLED.read_bytes() + b"mine")
    card = {"base": {"name": "bundled"}, "lessons": {"trained": 120}, "training": {"tokens": 5, "curve": []}}
    Registry(tmp_path / "var" / "models").add("mine", tmp_path / "mine.gguf", card)
    return tmp_path / "var"


def settings_of(store: Path, **more: Any) -> Settings:
    return Settings(store=StoreSettings(dir=store), models=ModelsSettings(**more))


# ---- list and show ------------------------------------------------------------------------------------------------------


def test_the_list_says_where_each_model_is_in_service(cli: Cli, store: Path) -> None:
    rows = {row["name"]: row for row in cli("list", "--json").json()}
    assert rows["bundled"]["in_service"] == ["light (facts)", "heavy (facts)"]
    assert (rows["mine"]["in_service"], rows["mine"]["made"]) == (
        [],
        "trained from 120 corrections on bundled",
    )
    Registry(store / "models").promote("mine", "ada", "why not", roles=("heavy",))
    shown = cli("list")
    assert [line.split("  ")[0] for line in shown.out.splitlines()] == ["model", "bundled", "mine"]
    assert "heavy (facts)" in shown.out.splitlines()[2]


def test_files_and_servers_of_the_settings_are_listed_too(store: Path, tmp_path: Path) -> None:
    light = ModelSettings(kind="gguf", path=tmp_path / "gone.gguf", mode="assisted")
    heavy = ModelSettings(kind="openai", url="http://127.0.0.1:9/v1", model="qwen")
    rows = {row["name"]: row for row in listed(settings_of(store, light=light, heavy=heavy))}
    assert rows["gone.gguf"]["in_service"] == ["light (assisted)"]
    assert "cannot read" in rows["gone.gguf"]["problem"]
    assert (rows["qwen"]["in_service"], rows["bundled"]["in_service"]) == (["heavy (facts)"], [])


def test_the_card_says_what_the_model_is_and_is_not(cli: Cli) -> None:
    shown = cli("show").out
    for part in (
        "What it is",
        "What it is not",
        "How it was made",
        "Scores in the suites",
        "Modes",
        "Cost",
        "CPU-seconds",
    ):
        assert part in shown
    assert "does not reason" in shown


def test_a_card_shows_figures_of_this_very_file_alone(store: Path, cli: Cli) -> None:
    mine, bundled = cli("show", "mine", "--json").json(), cli("show", "bundled", "--json").json()
    assert mine["scores"] == []
    for score in bundled["scores"]:
        assert all(
            figure["low"] - 1e-9 <= figure["value"] <= figure["high"] + 1e-9 for figure in score["figures"]
        )
    assert "No eval run over this very file" in cli("show", "mine").out


def test_light_and_heavy_name_what_is_in_service(cli: Cli, store: Path) -> None:
    Registry(store / "models").promote("mine", "ada", "", roles=("light",))
    assert cli("show", "light", "--json").json()["name"] == "mine"
    assert cli("show", "heavy", "--json").json()["name"] == "bundled"


def test_what_is_not_there_is_told_with_what_is(cli: Cli, store: Path) -> None:
    ran = cli("show", "theirs")
    assert (ran.code, "bundled, mine" in ran.err) == (2, True)


def test_measurements_stay_with_the_file_they_were_made_of(store: Path) -> None:
    settings = settings_of(store)
    keep(key_of(ModelSettings()), "bench", {"load_ms": 1.0}, settings)
    assert measured(key_of(ModelSettings()), settings)["bench"]["load_ms"] == 1.0
    assert "bench" not in measured(Registry.of(settings).entry("mine").sha256, settings)


# ---- use ------------------------------------------------------------------------------------------------------------------


def test_a_role_is_set_in_the_settings_file_and_counts_from_then(
    cli: Cli, store: Path, tmp_path: Path
) -> None:
    assert cli("use", "light", "mine", "--heavy").code == 0
    written = tomllib.loads((tmp_path / "config" / "setpoint" / "setpoint.toml").read_text())
    path = str((store / "models" / "mine" / "model.gguf").absolute())
    assert written["models"] == {
        "light": {"kind": "gguf", "path": path},
        "heavy": {"kind": "gguf", "path": path},
    }
    assert {row["name"]: row["in_service"] for row in cli("list", "--json").json()}["bundled"] == []
    assert cli("use", "light", "http://127.0.0.1:8080/v1", "--model", "qwen", "--mode", "assisted").code == 0
    assert cli("use", "heavy", "bundled").code == 0
    written = tomllib.loads((tmp_path / "config" / "setpoint" / "setpoint.toml").read_text())
    assert written["models"] == {
        "light": {"kind": "openai", "url": "http://127.0.0.1:8080/v1", "model": "qwen", "mode": "assisted"},
        "heavy": {"kind": "bundled"},
    }


def test_a_dry_run_prints_the_lines_and_writes_none(cli: Cli, tmp_path: Path) -> None:
    assert cli("use", "light", "none", "--dry-run").out == '[models.light]\nkind = "none"\n'
    assert not (tmp_path / "config").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("medium", "bundled"), "no role 'medium'"),
        (("light", "nothing.gguf"), "there is no model 'nothing.gguf'"),
        (("light", "http://127.0.0.1:8080/v1"), "needs the model's name"),
        (("light", "bundled", "--mode", "wild"), "no mode 'wild'"),
        (("light", "heavy"), "'heavy' is a role"),
    ],
)
def test_what_cannot_be_used_is_refused(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    ran = cli("use", *arguments)
    assert (ran.code, says in ran.err) == (2, True)


# ---- try and bench ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(model_verdicts.SUITES, "smoke", Extent(2, 2, 0))


@pytest.mark.usefixtures("small")
def test_a_server_is_tried_and_the_verdict_kept(cli: Cli, store: Path) -> None:
    with scripted_server(kind=Capable) as (url, _):
        ran = cli("try", url, "--model", "big")
        assert (ran.code, "light: good enough" in ran.out) == (0, True)
        assert cli("try", f"{url}#big", "--need", "assisted").code == 1
        assert "light: good enough" in cli("show", url, "--model", "big").out
    assert list((store / "models" / "measured").glob("*-trial.json"))


@pytest.mark.usefixtures("small")
def test_a_model_that_is_not_good_enough_ends_in_one(cli: Cli) -> None:
    with scripted_server(kind=Chatter) as (url, _):
        ran = cli("try", url, "--model", "big", "--json")
    assert ran.code == 1
    assert [one["good"] for one in ran.json()["verdicts"]] == [False] * 4


@pytest.mark.usefixtures("small")
def test_a_model_file_is_tried_like_any_other(cli: Cli, store: Path) -> None:
    ran = cli("try", str(store / "models" / "mine" / "model.gguf"), "--json")
    verdicts = {one["role"]: one for one in ran.json()["verdicts"]}
    assert ran.code == (0 if verdicts["light"]["good"] and verdicts["heavy"]["good"] else 1)
    assert "a local file calls no tools" in verdicts["chat, free"]["why"]
    assert cli("show", "mine", "--json").json()["measured"]["trial"]["suite"] == "smoke"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("none",), 2),
        (("bundled", "--need", "everything"), 2),
        (("bundled", "--suite", "huge"), 2),
        (("bundled", "--split", "test"), 2),
        (("http://127.0.0.1:9/v1", "--model", "big"), 3),
    ],
)
def test_mistakes_and_missing_models_have_their_codes(
    cli: Cli, arguments: tuple[str, ...], code: int
) -> None:
    assert cli("try", *arguments).code == code


def test_a_bench_holds_us_against_the_same_file_alone(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_bench, "ROUNDS", 1)
    found = cli("bench", "bundled", "--texts", "3", "--json").json()
    assert found["texts"] == 3
    for name in ("overhead", "overhead_cpu", "with_grammar"):
        value, low, high = found[name]
        assert 0 < low <= value <= high  # how large it is, a quiet machine says
    assert found["tokens_per_s"]["raw"] > 1
    assert found["first_token_ms"]["raw"] > 0
    assert "llama.cpp alone" in cli("show", "bundled").out


def test_a_server_has_no_file_to_bench(cli: Cli) -> None:
    assert cli("bench", "http://127.0.0.1:9/v1").code == 2


# ---- pull -----------------------------------------------------------------------------------------------------------------


def test_without_a_name_the_list_of_known_models_is_shown(cli: Cli) -> None:
    shown = cli("pull")
    assert (shown.code, "qwen2.5-1.5b" in shown.out) == (0, True)


def test_a_hub_that_is_not_there_ends_in_three(cli: Cli) -> None:
    ran = cli("pull", "qwen2.5-0.5b", "--hub", "http://127.0.0.1:9")
    assert (ran.code, "cannot be reached" in ran.err) == (3, True)


# ---- what a promotion means for the rest of Setpoint ------------------------------------------------------------------------


def test_what_is_proposed_names_the_promoted_model(store: Path) -> None:
    settings = settings_of(store)
    assert versions(settings)["light"].startswith("setpoint-small@")
    Registry.of(settings).promote("mine", "ada", "", roles=("light",))
    sha256 = Registry.of(settings).entry("mine").sha256
    assert versions(settings)["light"] == f"mine@{sha256[:8]}"
    assert versions(settings)["heavy"].startswith("setpoint-small@")


def test_a_promoted_model_that_is_gone_is_told_at_the_start_and_by_the_doctor(store: Path) -> None:
    settings = settings_of(store, light=ModelSettings(kind="none"))
    assert list(missing_models(settings)) == []
    Registry.of(settings).promote("mine", "ada", "")
    Registry.of(settings).entry("mine").path.write_bytes(b"gone")
    (said,) = missing_models(settings)
    assert "models.heavy: the promoted model 'mine' is not used" in said
    assert "The shipped model stands" in said
    found = list(_role("heavy", settings))
    assert [one.verdict for one in found] == ["warning", "ok"]
    assert "setpoint-small answers" in found[1].detail
