"""The site's own manuals: Markdown, HTML and PDF, cut into passages. Their text is data, never an instruction."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader
from pypdf.errors import PdfReadError

from knowledge.runbooks import slug
from setpoint.contracts import Passage
from setpoint.errors import InputError

WORDS_PER_PASSAGE = 220
_HEADINGS = ("h1", "h2", "h3", "h4")


def read_manual(path: Path) -> list[Passage]:
    """All passages of one file. Raises InputError where it cannot be read or holds no text."""
    readers = {
        ".md": _markdown,
        ".markdown": _markdown,
        ".txt": _markdown,
        ".html": _html,
        ".htm": _html,
        ".pdf": _pdf,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        known = ", ".join(sorted(readers))
        raise InputError(
            f"cannot read {path.suffix or 'a file without suffix'}", where=path.name, remedy=f"Known: {known}"
        )
    try:
        pieces = [(heading, text) for heading, body in reader(path) for text in _chunks(body)]
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror or error}",
            where=path.name,
            remedy="Check its name and its mode",
        ) from error
    except (UnicodeDecodeError, PdfReadError) as error:
        raise InputError(
            f"is damaged: {error}", where=path.name, remedy="Save it again, text as UTF-8"
        ) from error
    if not pieces:
        raise InputError("holds no text", where=path.name, remedy="A scanned PDF needs OCR first")
    return _passages(path, pieces)


def _passages(path: Path, pieces: list[tuple[str, str]]) -> list[Passage]:
    section = f"manual-{slug(path.stem)}"  # apart from our own sections, whatever the file is called
    title = path.stem.replace("_", " ").replace("-", " ")
    seen: dict[str, int] = {}
    passages = []
    for heading, text in pieces:
        part = slug(heading) or "text"
        seen[part] = seen.get(part, 0) + 1
        number = f"-{seen[part]}" if seen[part] > 1 else ""
        passages.append(
            Passage(
                id=f"{section}#{part}{number}",
                section=section,
                title=f"{title}: {heading}" if heading else title,
                heading=part,
                text=text,
                origin=path.name,
            )
        )
    return passages


def _markdown(path: Path) -> Iterator[tuple[str, str]]:
    text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text("utf-8"), flags=re.DOTALL)
    pieces = re.split(r"^#{1,4} +(.+)$", text, flags=re.MULTILINE)
    yield "", pieces[0]
    for number in range(1, len(pieces) - 1, 2):
        yield pieces[number].strip(), pieces[number + 1]


def _html(path: Path) -> Iterator[tuple[str, str]]:
    soup = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    for dead in soup(["script", "style", "nav", "footer"]):
        dead.decompose()
    heading, lines = "", list[str]()
    for element in soup.find_all([*_HEADINGS, "p", "li", "pre", "td"]):
        if not isinstance(element, Tag):
            continue
        if element.name in _HEADINGS:
            yield heading, "\n".join(lines)
            heading, lines = element.get_text(" ", strip=True), []
        else:
            lines.append(element.get_text(" ", strip=True))
    yield heading, "\n".join(lines)


def _pdf(path: Path) -> Iterator[tuple[str, str]]:
    for number, page in enumerate(PdfReader(path).pages, 1):
        yield f"page {number}", page.extract_text()


def _chunks(body: str) -> Iterator[str]:
    """Paragraphs gathered to about WORDS_PER_PASSAGE words."""
    gathered: list[str] = []
    for paragraph in re.split(r"\n\s*\n", body.strip()):
        words = sum(len(piece.split()) for piece in gathered)
        if gathered and words + len(paragraph.split()) > WORDS_PER_PASSAGE:
            yield "\n\n".join(gathered)
            gathered = []
        if paragraph.strip():
            gathered.append(paragraph.strip())
    if gathered:
        yield "\n\n".join(gathered)
