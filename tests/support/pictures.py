"""Pictures as files have them."""

from __future__ import annotations

import zlib
from base64 import b64decode
from struct import pack

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def png(width: int = 64, height: int = 32, *, grey: int = 90, pixels: bytes | None = None, colour: int = 0) -> bytes:
    """One shade of grey, or these bytes of pixels."""
    rows = (b"\0" + bytes([grey]) * width) * height if pixels is None else pixels
    header = pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


# 64 x 32 in one grey, as a browser writes it.
PHOTO = b64decode(
    "/9j/4AAQSkZJRgABAQAAAQABAAD/4gHYSUNDX1BST0ZJTEUAAQEAAAHIAAAAAAQwAABtbnRyUkdCIFhZWiAH4AABAAEAAAAAAABhY3NwAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQAA9tYAAQAAAADTLQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    "AAAAAAlkZXNjAAAA8AAAACRyWFlaAAABFAAAABRnWFlaAAABKAAAABRiWFlaAAABPAAAABR3dHB0AAABUAAAABRyVFJDAAABZAAAAChnVFJDAA"
    "ABZAAAAChiVFJDAAABZAAAAChjcHJ0AAABjAAAADxtbHVjAAAAAAAAAAEAAAAMZW5VUwAAAAgAAAAcAHMAUgBHAEJYWVogAAAAAAAAb6IAADj1"
    "AAADkFhZWiAAAAAAAABimQAAt4UAABjaWFlaIAAAAAAAACSgAAAPhAAAts9YWVogAAAAAAAA9tYAAQAAAADTLXBhcmEAAAAAAAQAAAACZmYAAP"
    "KnAAANWQAAE9AAAApbAAAAAAAAAABtbHVjAAAAAAAAAAEAAAAMZW5VUwAAACAAAAAcAEcAbwBvAGcAbABlACAASQBuAGMALgAgADIAMAAxADb/"
    "2wBDAKBueIx4ZKCMgoy0qqC+8P//8Nzc8P//////////////////////////////////////////////////////////2wBDAaq0tPDS8P////"
    "//////////////////////////////////////////////////////////////////////////wAARCAAgAEADASIAAhEBAxEB/8QAFQABAQAA"
    "AAAAAAAAAAAAAAAAAAL/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QAFAEBAAAAAAAAAAAAAAAAAAAAAP/EABQRAQAAAAAAAAAAAAAAAAAAAAD/2g"
    "AMAwEAAhEDEQA/AJAAAAAAAAAAAAAAAB//2Q=="
)


def jpeg(width: int = 64, height: int = 32, *, frame: int = 0xC0, components: int = 3, precision: int = 8) -> bytes:
    """Headers as a camera writes them; of the picture itself only that there is one."""
    sof = pack(">BHHB", precision, height, width, components) + b"\1\x11\0" * components
    return (
        b"\xff\xd8"
        + segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
        + segment(frame, sof)
        + segment(0xDA, b"\1\1\0\0\x3f\0")
        + b"\x12\x34\xff\xd9"
    )


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + pack(">H", len(data) + 2) + data
