"""Models beside the shipped one: added whole, promoted, followed, rolled back, and refused where they do not fit."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from setpoint.errors import ModelMissing, UsageError
from setpoint.llm import BUNDLED, Registry, RoleModel, load_role
from setpoint.llm.chat_model import LlamaChat
from setpoint.llm.gguf_header import read_header
from setpoint.settings import ModelSettings, ModelsSettings, Settings, StoreSettings

pytestmark = pytest.mark.skipif(not BUNDLED.is_file(), reason="the bundled model is not in this checkout")
NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With two models that differ from the shipped one in their last bytes only."""
    found = Registry(tmp_path / "models")
    for name in ("one", "two"):
        copy = tmp_path / f"{name}.gguf"
        copy.write_bytes(BUNDLED.read_bytes() + name.encode())
        found.add(name, copy, {"made": f"as {name}"})
    return found


def test_models_lie_in_the_store_unless_a_folder_is_named(tmp_path: Path) -> None:
    store = StoreSettings(dir=tmp_path)
    assert Registry.of(Settings(store=store)).folder == tmp_path / "models"
    elsewhere = Settings(store=store, models=ModelsSettings(dir=tmp_path / "shared"))
    assert Registry.of(elsewhere).folder == tmp_path / "shared"


def test_a_model_is_added_whole_and_keeps_its_card(registry: Registry) -> None:
    entry = registry.entry("one")
    assert registry.names() == ["one", "two"]
    assert entry.path.read_bytes() == BUNDLED.read_bytes() + b"one"
    assert entry.card == {"made": "as one"}
    assert not list(registry.folder.glob(".*"))


@pytest.mark.parametrize("name", ["bundled", "none", "light", "../up", "Big", "", "a/b", ".hidden", "x" * 65])
def test_names_that_are_none_are_refused(registry: Registry, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a model"):
        registry.add(name, BUNDLED, {})


def test_a_folder_that_is_no_model_of_ours_is_left_out(registry: Registry) -> None:
    (registry.folder / "My Model").mkdir()
    (registry.folder / "My Model" / "model.gguf").touch()
    assert registry.names() == ["one", "two"]


def test_a_name_is_given_once(registry: Registry) -> None:
    with pytest.raises(UsageError, match="already"):
        registry.add("one", BUNDLED, {})


def test_what_is_no_gguf_is_not_added(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "notes.gguf").write_text("no model")
    with pytest.raises(ModelMissing, match="not a GGUF"):
        registry.add("three", tmp_path / "notes.gguf", {})
    assert registry.names() == ["one", "two"]


def test_nothing_promoted_is_the_shipped_model(tmp_path: Path) -> None:
    found = Registry(tmp_path / "none").in_service("light")
    assert (found.name, found.path, found.since, found.warning) == ("bundled", BUNDLED, "", "")
    assert not (tmp_path / "none").exists()


def test_promotion_and_rollback_say_who_and_why(registry: Registry) -> None:
    first = registry.promote("one", "ada", "better alerts", now=NOW)
    assert (first.name, first.who, first.why, first.since) == (
        "one",
        "ada",
        "better alerts",
        "2026-11-22T06:00:00+00:00",
    )
    registry.promote("two", "ben", "better steps")
    assert {registry.in_service("light").name, registry.in_service("heavy").name} == {"two"}
    back = registry.rollback("cy", "it garbles")
    assert (back.name, back.who, back.why) == ("one", "cy", "it garbles")
    assert registry.rollback("cy", "that too").name == "bundled"
    with pytest.raises(UsageError, match="no model was promoted"):
        registry.rollback("cy", "once more")


def test_one_role_can_be_promoted_alone(registry: Registry) -> None:
    registry.promote("one", "ada", "alerts only", roles=("light",))
    assert (registry.in_service("light").name, registry.in_service("heavy").name) == ("one", "bundled")


def test_a_model_of_another_maker_cannot_stand_in(registry: Registry, tiny_gguf: Path) -> None:
    registry.add("foreign", tiny_gguf, {})
    with pytest.raises(UsageError, match="not trained on Setpoint's prompts"):
        registry.promote("foreign", "ada", "")


def test_a_model_of_other_prompts_cannot_stand_in(registry: Registry, tmp_path: Path) -> None:
    mine = read_header(BUNDLED).prompt_hashes["alert"].encode()
    (tmp_path / "old.gguf").write_bytes(BUNDLED.read_bytes().replace(mine, b"0" * len(mine)))
    registry.add("old", tmp_path / "old.gguf", {})
    with pytest.raises(UsageError, match="other prompts of alert than this version"):
        registry.promote("old", "ada", "")


def test_a_changed_file_is_not_used_and_the_shipped_model_stands(registry: Registry) -> None:
    registry.promote("one", "ada", "")
    path = registry.entry("one").path
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    found = registry.in_service("light")
    assert found.path == BUNDLED
    assert "is not the file that was promoted" in found.warning


def test_a_missing_file_is_not_used_either(registry: Registry) -> None:
    registry.promote("one", "ada", "")
    shutil.rmtree(registry.folder / "one")
    found = registry.in_service("light")
    assert (found.path, "cannot read" in found.warning) == (BUNDLED, True)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"light": {"name": "../../etc"}}', '{"light": 3}', '{"before": 1}']
)
def test_a_broken_record_leaves_the_shipped_model(registry: Registry, text: str) -> None:
    (registry.folder / "current.json").write_text(text)
    found = registry.in_service("light")
    assert found.path == BUNDLED
    assert found.warning


def test_a_name_that_leads_out_of_the_folder_is_not_followed(registry: Registry, tmp_path: Path) -> None:
    registry.promote("one", "ada", "")
    record = json.loads((registry.folder / "current.json").read_text())
    record["light"]["name"] = "../one"
    (registry.folder / "current.json").write_text(json.dumps(record))
    assert registry.in_service("light").path == BUNDLED


def _path_of(role: RoleModel) -> Path:
    assert isinstance(role.chat, LlamaChat)
    return role.chat.path


def test_a_running_role_follows_a_promotion_and_a_rollback(
    registry: Registry, caplog: pytest.LogCaptureFixture
) -> None:
    role = load_role(ModelSettings(), "light", registry)
    shipped = _path_of(role)
    assert (role.name, role.terse, shipped) == ("setpoint-small", True, BUNDLED)
    registry.promote("one", "ada", "")
    role.follow()
    sha256 = registry.entry("one").sha256
    assert (role.name, role.promoted) == (f"one@{sha256[:8]}", True)
    assert (_path_of(role), role.sha256) == (registry.entry("one").path, sha256)
    registry.rollback("ada", "")
    role.follow()
    assert (role.name, _path_of(role)) == ("setpoint-small", BUNDLED)
    registry.promote("two", "ada", "")
    registry.entry("two").path.write_bytes(b"GGUF and then nothing")
    with caplog.at_level(logging.WARNING, "setpoint.llm"):
        role.follow()
    assert role.name == "setpoint-small"
    assert "is not the file that was promoted" in caplog.text


def test_without_a_registry_bundled_is_the_shipped_file(registry: Registry) -> None:
    registry.promote("one", "ada", "")
    assert load_role(ModelSettings()).path == BUNDLED


def test_a_file_of_ours_is_asked_with_the_prompts_it_knows(tiny_gguf: Path) -> None:
    assert load_role(ModelSettings(kind="gguf", path=BUNDLED)).terse
    assert not load_role(ModelSettings(kind="gguf", path=tiny_gguf)).terse


def test_the_header_says_what_the_file_is() -> None:
    header = read_header(BUNDLED)
    record = json.loads(BUNDLED.with_suffix(".json").read_text())
    assert (header.architecture, header.stored_as) == ("llama", "Q8_0")
    assert header.parameters == record["parameters"]
    assert set(header.prompt_hashes) >= {"alert", "step", "summary", "chat"}


@pytest.mark.parametrize("length", [4, 8, 20, 300, 5000, 70_000])
def test_a_cut_header_is_an_error_and_no_crash(tmp_path: Path, length: int) -> None:
    (tmp_path / "cut.gguf").write_bytes(BUNDLED.read_bytes()[:length])
    with pytest.raises(ModelMissing, match="damaged or cut off"):
        read_header(tmp_path / "cut.gguf")
