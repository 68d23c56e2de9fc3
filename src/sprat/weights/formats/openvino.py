"""Reader of OpenVINO's IR: a network in XML and, beside it under the same name, its weights as one .bin file.

Source: docs.openvino.ai, "OpenVINO IR format" and "Operation sets". Versions 2 to 9 give the place of a layer's weights
in the layer itself, and their shape only by the layer's parameters and input; from 10 on (and now and then in 7) they
are layers of type Const, which give type, shape and place.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sprat.errors import BadInput
from sprat.weights.foreign import MAX_BYTES, MAX_TENSORS, Foreign, as_float, check_shape, reader
from sprat.weights.parse.xml_tree import MAX_XML_BYTES, Element, parse_xml

PROLOGUE = 4096  # bytes within which <net name="..." version="..."> must begin
MAX_SIDE = 4096  # pixels, of an input that is believed
TYPES = {
    **{"FP16": "<f2", "FP32": "<f4", "f16": "<f2", "f32": "<f4", "f64": "<f8", "boolean": "|u1"},
    **{"i8": "|i1", "u8": "|u1", "i16": "<i2", "u16": "<u2", "i32": "<i4", "u32": "<u4", "i64": "<i8", "u64": "<u8"},
    **{"I8": "|i1", "U8": "|u1", "I32": "<i4", "I64": "<i8"},
}
NAMES = {"biases": "bias"}


def _pair(path: Path) -> tuple[Path, Path]:
    """(xml, bin) of a path to either."""
    return path.with_suffix(".xml"), path.with_suffix(".bin")


def _recognises(path: Path, head: bytes) -> bool:
    """Whether the file is XML with a <net>, or a .bin with such a file beside it."""
    if not head:
        return False
    xml = path if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else _pair(path)[0]
    if xml != path and path.suffix != ".bin":
        return False
    try:
        with xml.open("rb") as stream:
            start = stream.read(PROLOGUE)
    except OSError:
        return False
    return start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"<net " in start and b"version=" in start


@reader("openvino", understands="OpenVINO IR (.xml with .bin)", recognises=_recognises)
def read(path: Path) -> Foreign:
    """The tensors of the network: "conv1/weights" (O, I, kh, kw), "conv1/bias" (O,); a Const layer under its own name.

    A convolution in groups has weights (O, I / groups, kh, kw), a fully-connected layer (O, I); others are flat where
    the file gives no shape. The notes hold the `name`, `version`, `input` dimensions and `layers` as [name, type], and
    the `image` (C, H, W) where the input is one.

    Args:
        path: the .xml or the .bin; the other must lie beside it.

    Raises:
        BadInput: a file is missing, the XML is damaged or hostile, or a place, shape or type does not fit the .bin.
    """
    xml, weights = _pair(path) if path.suffix in (".xml", ".bin") else (path, path.with_suffix(".bin"))
    data = _bytes(weights, MAX_BYTES, f"the weights of {xml}")
    root = parse_xml(_bytes(xml, MAX_XML_BYTES, "the network"), str(xml))
    layers = root.first("layers")
    if root.tag != "net" or layers is None:
        raise BadInput(f"{xml} is no OpenVINO IR: its root is <{root.tag[:40]}>, a <net> with <layers> was expected")
    listed = list(layers.all("layer"))
    tensors = _Weights(data, root.attributes.get("precision", ""))
    for layer in listed:
        tensors.add(layer)
    notes: dict[str, Any] = {
        "name": root.attributes.get("name", ""),
        "version": root.attributes.get("version", ""),
        "input": [],
        "layers": [[layer.attributes.get("name", ""), layer.attributes.get("type", "")] for layer in listed],
    }
    for layer in listed:
        if layer.attributes.get("type") in ("Input", "Parameter"):
            dims = _dims(layer, "output")
            notes["input"] = list(dims)
            if len(dims) == 4 and all(1 <= side <= MAX_SIDE for side in dims[1:]):
                notes["image"] = list(dims[1:])
            break
    return Foreign("openvino", tensors.found, notes)


def _bytes(path: Path, most: int, what: str) -> bytes:
    try:
        if path.stat().st_size > most:
            raise BadInput(f"{path} has {path.stat().st_size:,} bytes; at most {most:,} are read")
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}, {what}, cannot be read: {error.strerror}; the .xml and .bin belong together") from None


@dataclass(frozen=True, slots=True)
class _Place:
    offset: int
    size: int


class _Weights:
    """The tensors found so far; every place in the .bin belongs to one tensor, or to several of the same place."""

    def __init__(self, data: bytes, precision: str) -> None:
        self.found: dict[str, NDArray[Any]] = {}
        self._data = data
        self._precision = precision
        self._read: dict[tuple[_Place, str], NDArray[Any]] = {}
        self._total = 0

    def add(self, layer: Element) -> None:
        """The weights of a layer, if it has any."""
        name, kind = layer.attributes.get("name", ""), layer.attributes.get("type", "")
        data = layer.first("data")
        if kind == "Const" and data is not None and "offset" in data.attributes:
            shape = _numbers(data.attributes.get("shape", ""), f"shape of {name}")
            self._put(name, data, data.attributes.get("element_type", ""), shape)
            return
        precision = layer.attributes.get("precision", self._precision)
        for blob in (layer.first("blobs") or layer).children:
            if "offset" not in blob.attributes or blob.tag == "data":
                continue
            kept = blob.attributes.get("precision", precision)
            if kind == "Const":
                self._put(name, blob, kept, _dims(layer, "output"))
            else:
                self._put(f"{name}/{NAMES.get(blob.tag, blob.tag)}", blob, kept, _shape(layer, blob.tag))

    def _put(self, name: str, where: Element, precision: str, shape: tuple[int, ...] | None) -> None:
        if precision not in TYPES:
            raise BadInput(f"{name} is of type {precision[:40]!r}; known are {', '.join(TYPES)}: export it as FP32")
        if name in self.found or len(self.found) >= MAX_TENSORS:
            raise BadInput(f"two tensors are called {name[:80]!r}, or there are over {MAX_TENSORS:,}; it is damaged")
        place = _Place(_whole(where, "offset"), _whole(where, "size"))
        if place.offset + place.size > len(self._data):
            raise BadInput(
                f"{name} lies at {place.offset:,} to {place.offset + place.size:,} of the .bin, which has "
                f"{len(self._data):,} bytes; the files do not belong together, or the .bin is cut short"
            )
        dtype = np.dtype(TYPES[precision])
        if shape is None:
            shape = (place.size // dtype.itemsize,)
        check_shape(shape, f"{name} of the XML", size_bytes=place.size, item_bytes=dtype.itemsize)
        if (place, dtype.str) not in self._read:
            # Tensors may share a place but not overlap otherwise, so that the floats take as much as the file, twice.
            self._total += place.size
            if self._total > len(self._data):
                raise BadInput(f"{name} overlaps other tensors: together they have more bytes than the .bin; damaged")
            raw = np.frombuffer(self._data, dtype, math.prod(shape), place.offset)
            self._read[place, dtype.str] = as_float(raw) if dtype.kind == "f" else raw
        self.found[name] = self._read[place, dtype.str].reshape(shape)


def _shape(layer: Element, tag: str) -> tuple[int, ...] | None:
    """The shape of a layer's weights by its parameters and input; None where they are flat."""
    kind, data = layer.attributes.get("type", ""), layer.first("data")
    dims = _dims(layer, "input")
    if tag != "weights" or data is None or len(dims) < 2:
        return None
    name = layer.attributes.get("name", "")
    if kind == "Convolution":
        if "kernel" in data.attributes:
            kernel = _numbers(data.attributes["kernel"], f"kernel of {name}")
        else:
            kernel = (_whole(data, "kernel-y"), _whole(data, "kernel-x"))
        groups = _whole(data, "group") if "group" in data.attributes else 1
        if groups < 1 or dims[1] % groups:
            raise BadInput(f"{name} has {groups} groups for {dims[1]} channels; the groups must divide the channels")
        return (_whole(data, "output"), dims[1] // groups, *kernel)
    if kind in ("FullyConnected", "InnerProduct"):
        return (_whole(data, "out-size"), math.prod(dims[1:]))
    return None


def _dims(layer: Element, side: str) -> tuple[int, ...]:
    """The dimensions of a layer's first input or output; none where it has none."""
    ports = layer.first(side)
    port = None if ports is None else ports.first("port")
    if port is None:
        return ()
    return tuple(_number(dim.text, f"dimension of {layer.attributes.get('name', '')}") for dim in port.all("dim"))


def _numbers(text: str, what: str) -> tuple[int, ...]:
    return tuple(_number(part, what) for part in text.split(",")) if text.strip() else ()


def _whole(element: Element, attribute: str) -> int:
    return _number(element.attributes.get(attribute, ""), f"{attribute} of <{element.tag}>")


def _number(text: str, what: str) -> int:
    """A whole number of at most 18 digits, -1 where a dimension is not known.

    Raises:
        BadInput: it is something else.
    """
    text = text.strip()
    if text in ("-1", "?"):
        return -1
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise BadInput(f"the {what[:80]} is {text[:40]!r}; a whole number was expected: the XML is damaged")
    return int(text)
