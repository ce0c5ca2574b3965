"""Opening XML files of scenes, with errors that name the file, the line or the element."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from gnnlib.errors import FileFormatError
from gnnlib.heads.scene.formats.io_common import number, read_bytes

if TYPE_CHECKING:
    from gnnlib.typing import PathLike

__all__ = ["attribute", "child_number", "name_of", "parse_xml"]


def parse_xml(path: PathLike, root: str) -> ET.Element:
    """Root element of a file, also gzipped.

    Raises
    ------
    FileFormatError
        If the file is not well-formed (as when it is truncated; the message has the line), or has another root.
    """
    try:
        element = ET.fromstring(read_bytes(path))
    except ET.ParseError as error:
        line = error.position[0]
        raise FileFormatError.at(path, line, f"not well-formed XML (truncated?): {error}") from error
    if element.tag != root:
        raise FileFormatError.at(path, None, f"expected the root element <{root}>, found <{element.tag}>")
    return element


def name_of(element: ET.Element) -> str:
    """Element as an error message names it, such as ``<lanelet id="26">``."""
    identifier = element.get("id")
    return f"<{element.tag}>" if identifier is None else f'<{element.tag} id="{identifier}">'


def attribute(element: ET.Element, name: str, path: PathLike, place: str = "") -> str:
    """Attribute of an element, or `FileFormatError` that names both."""
    value = element.get(name)
    if value is None:
        where = f"{place}: {name_of(element)}" if place else name_of(element)
        raise FileFormatError.at(path, None, f"{where} needs the attribute `{name}`")
    return value


def child_number(element: ET.Element | None, tag: str, path: PathLike, place: str) -> float:
    """Finite number in the child `tag` of an element, or `FileFormatError` that names them."""
    child = None if element is None else element.find(tag)
    if child is None:
        raise FileFormatError.at(path, None, f"{place}: <{tag}> is missing")
    return number(child.text, path, f"{place}: <{tag}>")
