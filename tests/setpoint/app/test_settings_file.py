"""Settings are changed in a file that people edit too: only what was asked for, or nothing."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from setpoint.app.settings_file import Value, change_section, file_to_change
from setpoint.errors import ConfigError

OURS = """\
# night shift, do not touch without asking lena
[models.light]   # words of alerts
kind = "bundled" # the small one
threads = 2

[serve]
port = 8400
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "setpoint.toml"
    path.write_text(OURS)
    return path


def test_only_the_keys_asked_for_change(file: Path) -> None:
    change_section(file, "models.light", {"kind": "gguf", "path": '/a/"b"\\c.gguf', "url": None})
    assert tomllib.loads(file.read_text()) == {
        "models": {"light": {"kind": "gguf", "path": '/a/"b"\\c.gguf', "threads": 2}},
        "serve": {"port": 8400},
    }
    assert file.read_text().startswith(
        "# night shift, do not touch without asking lena\n[models.light]   # words of alerts"
    )


def test_a_key_is_taken_out(file: Path) -> None:
    change_section(file, "models.light", {"kind": None})
    assert tomllib.loads(file.read_text())["models"] == {"light": {"threads": 2}}


def test_a_section_that_was_not_there_comes_last(file: Path) -> None:
    change_section(file, "models.heavy", {"kind": "none"})
    assert file.read_text().endswith('port = 8400\n\n[models.heavy]\nkind = "none"\n')


def test_a_file_that_was_not_there_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "setpoint.toml"
    change_section(path, "models.light", {"kind": "none"})
    assert path.read_text() == '[models.light]\nkind = "none"\n'


@pytest.mark.parametrize(
    "text",
    [
        'models.light.kind = "none"\n',
        '[models]\nlight = {kind = "none"}\n',
        'x = """\n[models.light]\nkind = 1\n"""\n',
        '[models.light]\nkind = """\nnone"""\n',
    ],
)
def test_a_file_written_otherwise_is_left_alone_and_the_lines_are_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "setpoint.toml"
    path.write_text(text)
    values: dict[str, Value | None] = {"kind": "gguf"}
    with pytest.raises(ConfigError, match="cannot be changed line by line") as raised:
        change_section(path, "models.light", values)
    assert 'kind = "gguf"' in raised.value.remedy
    assert path.read_text() == text


def test_a_broken_file_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "setpoint.toml"
    path.write_text("[models\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        change_section(path, "models.light", {"kind": "none"})
    assert path.read_text() == "[models\n"


def test_the_file_keeps_its_rights(file: Path) -> None:
    file.chmod(0o600)
    change_section(file, "serve", {"port": 1})
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_file_here_counts_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert file_to_change() == tmp_path / "config" / "setpoint" / "setpoint.toml"
    (tmp_path / "setpoint.toml").touch()
    assert file_to_change() == Path("setpoint.toml")
