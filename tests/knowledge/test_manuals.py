"""A site's own manuals: Markdown, HTML and PDF into passages; what holds no text says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from knowledge.manuals import WORDS_PER_PASSAGE, read_manual
from setpoint.errors import InputError


def write_pdf(path: Path, *pages: str) -> Path:
    """A PDF with one line of text a page; an empty text makes a page of pictures alone."""
    writer = PdfWriter()
    for text in pages:
        page = writer.add_blank_page(width=300, height=300)
        font = DictionaryObject(
            {NameObject("/Type"): NameObject("/Font"), NameObject("/Subtype"): NameObject("/Type1"), NameObject("/BaseFont"): NameObject("/Helvetica")}
        )  # fmt: skip
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        drawing = f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET" if text else "0 0 200 200 re f"
        stream.set_data(drawing.encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    with path.open("wb") as file:
        writer.write(file)
    return path


def test_markdown_is_cut_at_its_headings(tmp_path: Path) -> None:
    manual = tmp_path / "CDU_guide.md"
    manual.write_text(
        "---\nauthor: x\n---\nBefore.\n\n# Bleeding the loop\nOpen valve V3.\n\n## Bleeding the loop\nAgain.\n"
    )
    found = read_manual(manual)
    assert [passage.id for passage in found] == [
        "manual-cdu-guide#text",
        "manual-cdu-guide#bleeding-the-loop",
        "manual-cdu-guide#bleeding-the-loop-2",
    ]
    assert found[1].title == "CDU guide: Bleeding the loop"
    assert (found[1].text, found[1].origin) == ("Open valve V3.", "CDU_guide.md")


def test_html_gives_its_text_without_scripts_and_menus(tmp_path: Path) -> None:
    manual = tmp_path / "pump.html"
    manual.write_text(
        "<nav>Home</nav><script>alert(1)</script><h1>Pump</h1><p>Check the <b>seal</b>.</p><ul><li>Listen.</li></ul>"
        "<table><tr><td>Torque 12 Nm</td></tr></table>"
    )
    (found,) = read_manual(manual)
    assert found.heading == "pump"
    assert found.text.split("\n") == ["Check the seal .", "Listen.", "Torque 12 Nm"]


def test_pdf_gives_a_passage_a_page(tmp_path: Path) -> None:
    found = read_manual(write_pdf(tmp_path / "ups.pdf", "Replace the battery string", "Then test it"))
    assert [(passage.id, passage.text) for passage in found] == [
        ("manual-ups#page-1", "Replace the battery string"),
        ("manual-ups#page-2", "Then test it"),
    ]


def test_a_pdf_of_pictures_says_it_needs_ocr(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"scan\.pdf: holds no text\. A scanned PDF needs OCR first"):
        read_manual(write_pdf(tmp_path / "scan.pdf", "", ""))


@pytest.mark.parametrize("content", [b"%PDF-1.7\nnot really", b"", b"\x00\x01\x02"])
def test_a_broken_pdf_says_so(tmp_path: Path, content: bytes) -> None:
    manual = tmp_path / "broken.pdf"
    manual.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.pdf: is damaged: .*Save it again"):
        read_manual(manual)


def test_text_of_another_encoding_is_refused_with_a_remedy(tmp_path: Path) -> None:
    manual = tmp_path / "latin.md"
    manual.write_bytes("Kühlkreis".encode("latin-1"))
    with pytest.raises(InputError, match="Save it again, text as UTF-8"):
        read_manual(manual)


@pytest.mark.parametrize("name", ["notes.docx", "notes"])
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("text")
    with pytest.raises(InputError, match=r"Known: .*\.pdf"):
        read_manual(tmp_path / name)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text("\n\n")
    with pytest.raises(InputError, match="holds no text"):
        read_manual(tmp_path / "empty.md")


def test_long_parts_are_cut_between_paragraphs(tmp_path: Path) -> None:
    manual = tmp_path / "long.md"
    paragraphs = [" ".join(["word"] * 100)] * 7
    manual.write_text("# Long\n" + "\n\n".join(paragraphs))
    found = read_manual(manual)
    assert len(found) == 4
    assert all(len(passage.text.split()) <= WORDS_PER_PASSAGE for passage in found)
    assert sum(passage.text.count("word") for passage in found) == 700
