"""Pages read as a browser would: whole, and their words alone."""

from __future__ import annotations

from html.parser import HTMLParser


class Well(HTMLParser):
    """Every tag that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "img", "link", "iframe")
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


def words_of(page: str) -> str:
    """The words of a page that is well formed and loads nothing."""
    reader = Well()
    reader.feed(page)
    assert reader.open == []
    return " ".join(" ".join(reader.words).replace("\u00a0", " ").split())
