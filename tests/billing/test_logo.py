"""Which pictures can be the seller's logo."""

from __future__ import annotations

import zlib
from hashlib import sha256

import pytest

from billing.errors import InvalidArgument
from billing.logo import LARGEST_BYTES, Logo
from tests.support.pictures import PHOTO, SIGNATURE, chunk, jpeg, png

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(("content", "kind"), [(png(), "image/png"), (jpeg(), "image/jpeg"), (PHOTO, "image/jpeg")])
def test_png_and_jpeg_are_told_by_their_content(content: bytes, kind: str) -> None:
    logo = Logo.parse(content)
    assert (logo.kind, logo.width, logo.height) == (kind, 64, 32)
    assert logo.hash == sha256(content).hexdigest()


def test_a_progressive_jpeg_is_one_too() -> None:
    assert Logo.parse(jpeg(frame=0xC2)).kind == "image/jpeg"


@pytest.mark.parametrize("content", [SVG, b"GIF89a", b"RIFF....WEBP", b"<html>", b"\0" * 100, b"%PDF-1.7"])
def test_nothing_else_is_a_logo(content: bytes) -> None:
    with pytest.raises(InvalidArgument, match="must be a PNG or JPEG") as refused:
        Logo.parse(content)
    assert refused.value.field == "logo"


@pytest.mark.parametrize("sides", [(15, 32), (32, 15), (2001, 32), (32, 2001), (0, 0), (2**31 - 1, 2**31 - 1)])
def test_sides_have_limits(sides: tuple[int, int]) -> None:
    with pytest.raises(InvalidArgument, match="16 to 2000 pixels"):
        Logo.parse(png(*sides, pixels=b""))


def test_a_file_has_a_limit() -> None:
    with pytest.raises(InvalidArgument, match="256 KB"):
        Logo.parse(png() + b"\0" * LARGEST_BYTES)


def damaged_pngs() -> dict[str, bytes]:
    whole = png()
    other = png(grey=91)
    return {
        "cut off": whole[:-20],
        "a bit flipped": whole[:45] + bytes([whole[45] ^ 1]) + whole[46:],
        "something after its end": whole + b"<script>",
        "two pictures": whole + other,
        "only its beginning": SIGNATURE,
        "no pixels": png(pixels=b""),
        "too few pixels": png(pixels=b"\0" * 100),
        "too many pixels": png(pixels=b"\0" * 100_000),
        "pixels of gigabytes": png(pixels=b"\0" * 50_000_000),
        "an unknown colour": png(colour=5),
        "a palette's picture without a palette": png(colour=3),
        "no deflated data": SIGNATURE + png()[8:33] + chunk(b"IDAT", b"not deflated") + chunk(b"IEND", b""),
    }


@pytest.mark.parametrize("fault", damaged_pngs())
def test_a_damaged_png_is_refused(fault: str) -> None:
    with pytest.raises(InvalidArgument, match=r"damaged|256 KB"):
        Logo.parse(damaged_pngs()[fault])


def test_an_interlaced_png_has_its_own_count_of_pixels() -> None:
    """16 x 16 in grey: seven passes, each row of each with one byte more."""
    rows = [(2, 2), (2, 2), (2, 4), (4, 4), (4, 8), (8, 8), (8, 16)]
    pixels = b"".join((b"\0" + b"\x55" * columns) * count for count, columns in rows)
    plain = png(16, 16)
    header = plain[16:28] + b"\1"
    picture = SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    assert Logo.parse(picture).width == 16
    with pytest.raises(InvalidArgument, match="damaged"):
        Logo.parse(picture.replace(chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IDAT", zlib.compress(pixels[1:]))))


@pytest.mark.parametrize(
    "content",
    [
        jpeg()[:-2],
        jpeg()[:30],
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x01\xff\xd9",
        jpeg().replace(b"\xff\xda", b"\x00\xda"),
    ],
)
def test_a_damaged_jpeg_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidArgument, match=r"damaged|PNG or JPEG"):
        Logo.parse(content)


@pytest.mark.parametrize("content", [jpeg(components=4), jpeg(precision=12), jpeg(frame=0xC3), jpeg(frame=0xC9)])
def test_a_jpeg_that_only_some_programs_show_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidArgument, match="logo"):
        Logo.parse(content)
