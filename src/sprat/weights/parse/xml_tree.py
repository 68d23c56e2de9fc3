"""A small XML tree of a file that is not trusted: no document types, so no entities; bounded in size and depth.

Source: Extensible Markup Language 1.0, section 2. What makes XML dangerous (entities that expand to gigabytes or that
name other files) can only be declared in a document type, which no file read here has a use for.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from sprat.errors import BadInput

MAX_XML_BYTES = 16 * 2**20
MAX_DEPTH = 64
MAX_ELEMENTS = 300_000
MAX_TEXT = 4096  # characters kept of one element: numbers and names, never weights


@dataclass(slots=True)
class Element:
    """An element.

    Args:
        tag: its name.
        attributes: name to text.
        children: in order.
        text: its own characters, without those of its children.
    """

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def all(self, tag: str) -> Iterator["Element"]:
        """The children of that name."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> "Element | None":
        """The first child of that name."""
        return next(self.all(tag), None)


def parse_xml(data: bytes, what: str) -> Element:
    """The root element of a document in UTF-8.

    Args:
        data: the whole document.
        what: for messages, the path.

    Raises:
        BadInput: it is not well-formed, has a document type, or is larger or deeper than any file of weights.
    """
    if len(data) > MAX_XML_BYTES:
        raise BadInput(f"{what} has {len(data):,} bytes of XML, at most {MAX_XML_BYTES:,} are read; it is damaged")
    top = Element("", {})
    open_elements = [top]
    count = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(open_elements) > MAX_DEPTH or count > MAX_ELEMENTS:
            raise BadInput(
                f"{what} has over {MAX_ELEMENTS:,} elements or {MAX_DEPTH} levels of XML; no network has so many"
            )
        element = Element(tag, attributes)
        open_elements[-1].children.append(element)
        open_elements.append(element)

    def end(_: str) -> None:
        open_elements.pop()

    def characters(text: str) -> None:
        element = open_elements[-1]
        if len(element.text) < MAX_TEXT:
            element.text += text[:MAX_TEXT]

    def document_type(*_: object) -> None:
        raise BadInput(f"{what} has a document type (<!DOCTYPE ...>), which files of weights have no use for: refused")

    parser = expat.ParserCreate(encoding="utf-8")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = characters
    parser.StartDoctypeDeclHandler = document_type
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadInput(f"{what} is no well-formed XML: {error}; get the original file again") from None
    return top.children[0]
