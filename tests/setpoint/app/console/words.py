"""Pages of the console read as a browser would: whole, with their words, links, and what must not be in them."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "input", "img", "hr"}
LOADED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "object": "data"}


class Page(HTMLParser):
    """Well formed; loads nothing from elsewhere; holds no inline script, handler or style."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self._open, self._said = text, [], []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        assert self._open == [], f"never closed: {self._open}"
        assert len(self.ids) == len(set(self.ids)), "an id stands twice"

    _open: list[str]
    _said: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        assert not [name for name in about if name == "style" or name.startswith("on")], (tag, about)
        assert tag != "script" or about.get("src"), "an inline script"
        if tag in LOADED:
            assert str(about.get(LOADED[tag])).startswith("/"), about
        if tag == "a":
            self.links.append(str(about.get("href")))
        if about.get("id"):
            self.ids.append(str(about["id"]))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        self._said.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self._said).replace("\u00a0", " ").split())

    def links_within(self) -> None:
        """Every link to a place on this page has that place."""
        lost = [link for link in self.links if link.startswith("#") and link[1:] not in self.ids]
        assert lost == [], lost
