"""Styles, scripts and the font: each under an address that changes with its content, so kept for ever.

Our own styles and scripts are written a noun a file and served as one sheet and one script for each kind of page.
Third parties' files come from installed packages, of which no code is loaded. What isn't named here isn't served.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from io import BytesIO
from mimetypes import guess_type
from pathlib import Path

from flask import Blueprint, Response, request, send_file, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from webapp.identity.access import public
from webapp.remembered import Remembered

PROJECT = Path(__file__).resolve().parents[1]
OURS = PROJECT / "static"
# Made at set-up from the installed font: an eighth of its size. Without it the whole font serves.
SUBSET_FONT = PROJECT / "build" / "assets" / "inter.woff2"
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"

CONSOLE_STYLES = (
    "tokens",
    "base",
    "layout",
    "components",
    "bill",
    "bills",
    "charts",
    "customers",
    "rates",
    "settings",
    "design",
    "live",
    "overview",
    "palette",
    "identity",
    "shares",
    "webhooks",
    "widths",
)
CONSOLE_SCRIPTS = (
    "console",
    "line_items",
    "news",
    "live",
    "seller",
    "keyboard",
    "palette",
    "rows",
    "sessions",
    "shares",
    "unsent",
    "zone",
)

# The page that customers see has nothing of the console.
CUSTOMER_STYLES = ("tokens", "base", "customer")

# The pages that show the API.
REFERENCE_STYLES = ("tokens", "reference")
SWAGGER = "templates/swagger"

assets = Blueprint("assets", __name__, url_prefix="/assets")


def of_package(package: str, path: str) -> Path:
    """A file of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package {package} is not installed; bin/dev and bin/test install it")
    return Path(spec.submodule_search_locations[0], path)


def inter() -> Path:
    """The font as its package has it."""
    return of_package("fontpkg_inter", "files/Inter[opsz,wght].ttf")


@lru_cache(maxsize=1)
def _files() -> Mapping[str, tuple[Path, ...]]:
    """What is served, and the files that each is made of, one after the other."""
    return {
        "console.css": tuple(OURS / "styles" / f"{name}.css" for name in CONSOLE_STYLES),
        "console.js": tuple(OURS / "scripts" / f"{name}.js" for name in CONSOLE_SCRIPTS),
        "customer.css": tuple(OURS / "styles" / f"{name}.css" for name in CUSTOMER_STYLES),
        "customer.js": (OURS / "scripts" / "news.js", OURS / "scripts" / "customer.js"),
        "reference.css": tuple(OURS / "styles" / f"{name}.css" for name in REFERENCE_STYLES),
        "reference.js": (OURS / "scripts" / "reference.js",),
        "swagger.css": (of_package("flask_openapi3_swagger", f"{SWAGGER}/css/swagger-ui.css"),),
        "swagger.js": (of_package("flask_openapi3_swagger", f"{SWAGGER}/js/swagger-ui-bundle.js"),),
        "mark.svg": (OURS / "mark.svg",),
        "htmx.js": (of_package("django_htmx", "static/django_htmx/htmx-2.min.js"),),
        font_name(): (SUBSET_FONT if SUBSET_FONT.is_file() else inter(),),
    }


@lru_cache(maxsize=1)
def font_name() -> str:
    return "inter.woff2" if SUBSET_FONT.is_file() else "inter.ttf"


def asset_url(name: str) -> str:
    """The address of an asset as it was a second ago at most. KeyError for one that isn't on the list."""
    digest = _digest_of_text(fonts_css()) if name == "fonts.css" else _in_address(_digests()[name])
    return url_for("assets.serve", digest=digest, name=name)


def asset_integrity(name: str) -> str:
    """What a browser compares a script with before it runs it; of the same content as its address."""
    return f"sha256-{base64.b64encode(_digests()[name]).decode()}"


def fonts_css() -> str:
    """The font's address changes with its content, so this sheet is written and not stored."""
    kind = "woff2" if font_name().endswith(".woff2") else "truetype"
    return (
        '@font-face { font-family: "Inter"; font-weight: 100 900; font-display: optional; '
        f'src: url("{asset_url(font_name())}") format("{kind}"); }}\n'
    )


@assets.get("/<digest>/fonts.css")
@public
def serve_fonts(digest: str) -> ResponseReturnValue:
    css = fonts_css()
    response = Response(css, mimetype="text/css")
    response.headers["Cache-Control"] = FOR_EVER if digest == _digest_of_text(css) else BRIEFLY
    return response


@assets.get("/<digest>/<name>")
@public
def serve(digest: str, name: str) -> ResponseReturnValue:
    """An address of an older content gets the present one, briefly: pages still open go on working."""
    paths = _files().get(name)
    if paths is None:
        raise NotFound
    kind = guess_type(name)[0] or "font/woff2"
    compressed = not kind.startswith("font/") and "gzip" in request.accept_encodings
    content = (_compressed if compressed else _content)(paths, _modified_ns(paths))
    response = send_file(BytesIO(content), mimetype=kind, conditional=False)
    response.vary.add("Accept-Encoding")
    if compressed:
        response.content_encoding = "gzip"
    response.headers["Cache-Control"] = FOR_EVER if digest == _in_address(_digest_of_files(paths)) else BRIEFLY
    return response


def _digest_of_files(paths: tuple[Path, ...]) -> bytes:
    return _digest(paths, _modified_ns(paths))


# A page names some thirty files: asking the file system about each took longer than to read a bill.
_digests = Remembered(lambda: {name: _digest_of_files(paths) for name, paths in _files().items()}, for_s=1.0)


def _modified_ns(paths: tuple[Path, ...]) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in paths)


@lru_cache(maxsize=64)
def _content(paths: tuple[Path, ...], _modified: tuple[int, ...]) -> bytes:
    return b"\n".join(path.read_bytes() for path in paths)


@lru_cache(maxsize=64)
def _compressed(paths: tuple[Path, ...], modified: tuple[int, ...]) -> bytes:
    return gzip.compress(_content(paths, modified), 9, mtime=0)


@lru_cache(maxsize=64)
def _digest(paths: tuple[Path, ...], modified: tuple[int, ...]) -> bytes:
    return hashlib.sha256(_content(paths, modified)).digest()


def _digest_of_text(text: str) -> str:
    return _in_address(hashlib.sha256(text.encode()).digest())


def _in_address(digest: bytes) -> str:
    return digest.hex()[:12]
