"""The seller's logo: a picture that any browser and any PDF shows, judged by its content and never by its name.

PNG (W3C, ISO/IEC 15948) and JPEG (ITU-T T.81). SVG is none: it may carry script.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack

from billing.errors import InvalidArgument

LARGEST_BYTES = 256 * 1024
LONGEST_SIDE = 2_000
SHORTEST_SIDE = 16

_PNG = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
# Of each pass of an interlaced picture: its first column and row, and the steps between them.
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_JPEG = b"\xff\xd8\xff"
_FRAMES = {0xC0, 0xC1, 0xC2}
_OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_START_OF_SCAN = 0xDA
_END = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class Logo:
    """`kind` is its media type."""

    content: bytes
    kind: str
    width: int
    height: int

    @classmethod
    def parse(cls, content: bytes) -> Logo:
        """Raises InvalidArgument, with the field `logo`, for what is no sound picture within the limits."""
        if len(content) > LARGEST_BYTES:
            raise _refused(f"the logo cannot be larger than {LARGEST_BYTES // 1024} KB")
        if content.startswith(_PNG):
            kind, (width, height) = "image/png", _png_size(content)
        elif content.startswith(_JPEG):
            kind, (width, height) = "image/jpeg", _jpeg_size(content)
        else:
            raise _refused("the logo must be a PNG or JPEG picture")
        _check_sides(width, height)
        return cls(content, kind, width, height)

    @property
    def hash(self) -> str:
        """What it is stored and served under: SHA-256, in hex."""
        return hashlib.sha256(self.content).hexdigest()


def _refused(sentence: str) -> InvalidArgument:
    return InvalidArgument(sentence, field="logo")


def _damaged() -> InvalidArgument:
    return _refused("the logo is damaged, or not the kind of picture that it seems to be")


def _check_sides(width: int, height: int) -> None:
    if not all(SHORTEST_SIDE <= side <= LONGEST_SIDE for side in (width, height)):
        raise _refused(f"the logo must be {SHORTEST_SIDE} to {LONGEST_SIDE} pixels wide and high")


def _png_size(content: bytes) -> tuple[int, int]:
    chunks = list(_png_chunks(content))
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != 13 or chunks[-1][0] != b"IEND":
        raise _damaged()
    width, height, depth, colour, _, _, interlaced = unpack(">IIBBBBB", chunks[0][1])
    _check_sides(width, height)
    if depth not in _DEPTHS.get(colour, ()) or interlaced > 1:
        raise _damaged()
    bits = depth * _CHANNELS[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    expected = sum(_pass_bytes(width, height, bits, each) for each in passes)
    has_palette = any(kind == b"PLTE" for kind, _ in chunks)
    pixels = b"".join(data for kind, data in chunks if kind == b"IDAT")
    if (colour == 3 and not has_palette) or _inflated_bytes(pixels, expected + 1) != expected:
        raise _damaged()
    return width, height


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each with its checksum right, and nothing after the last."""
    at = len(_PNG)
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        kind, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + length]
        checksum = content[at + 8 + length : at + 12 + length]
        if len(data) != length or zlib.crc32(kind + data).to_bytes(4, "big") != checksum:
            raise _damaged()
        at += 12 + length
        yield kind, data
        if kind == b"IEND" and at != len(content):
            raise _damaged()


def _pass_bytes(width: int, height: int, bits: int, pass_: tuple[int, int, int, int]) -> int:
    """What the rows of a pass take: each begins with a byte that names its filter."""
    left, top, step_x, step_y = pass_
    columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
    return rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0


def _inflated_bytes(deflated: bytes, most: int) -> int:
    """How many bytes these become, at most `most`: a small file may claim to be gigabytes."""
    inflater = zlib.decompressobj()
    try:
        return len(inflater.decompress(deflated, most))
    except zlib.error:
        raise _damaged() from None


def _jpeg_size(content: bytes) -> tuple[int, int]:
    """From the frame that comes before the first scan."""
    if not content.endswith(_END):
        raise _damaged()
    size = None
    for marker, data in _jpeg_segments(content):
        if marker in _OTHER_FRAMES:
            raise _refused("the logo is a JPEG that many programs cannot show; save it as a usual one, or as PNG")
        if marker in _FRAMES:
            size = _frame_size(data)
    if size is None:
        raise _damaged()
    return size


def _frame_size(data: bytes) -> tuple[int, int]:
    if len(data) < 6:
        raise _damaged()
    precision, height, width, components = unpack(">BHHB", data[:6])
    if precision != 8 or components not in {1, 3}:
        raise _refused("the logo must be in RGB or grey, with 8 bits a colour")
    return width, height


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Those before the first scan; without a scan there is no picture."""
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            raise _damaged()
        marker = content[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        if length < 2 or at + 2 + length > len(content):
            raise _damaged()
        yield marker, content[at + 4 : at + 2 + length]
        at += 2 + length
    raise _damaged()
