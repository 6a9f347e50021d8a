"""Styles, scripts and the font: each under an address that changes with its content, so kept for ever.

Third parties' files come from installed packages, of which no code is loaded. What isn't named here isn't served.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from flask import Blueprint, Response, send_file, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import NotFound

from webapp.identity.access import public

OURS = Path(__file__).resolve().parents[1] / "static"
FOR_EVER = "public, max-age=31536000, immutable"
BRIEFLY = "public, max-age=60"

assets = Blueprint("assets", __name__, url_prefix="/assets")


def _of_package(package: str, path: str) -> Path:
    """A file of an installed package, found without importing it."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError(f"the package {package} is not installed; bin/dev and bin/test install it")
    return Path(spec.submodule_search_locations[0], path)


@lru_cache(maxsize=1)
def _files() -> Mapping[str, Path]:
    return {
        "tokens.css": OURS / "tokens.css",
        "console.css": OURS / "console.css",
        "widths.css": OURS / "widths.css",
        "console.js": OURS / "console.js",
        "mark.svg": OURS / "mark.svg",
        "htmx.js": _of_package("django_htmx", "static/django_htmx/htmx-2.min.js"),
        "inter.ttf": _of_package("fontpkg_inter", "files/Inter[opsz,wght].ttf"),
    }


def asset_url(name: str) -> str:
    """The address of an asset as it is now. KeyError for one that isn't on the list."""
    path = _files().get(name)
    digest = _digest_of_text(fonts_css()) if path is None else _digest(path, path.stat().st_mtime_ns)
    return url_for("assets.serve", digest=digest, name=name)


def fonts_css() -> str:
    """The font's address changes with its content, so this sheet is written and not stored."""
    return (
        '@font-face { font-family: "Inter"; font-weight: 100 900; font-display: optional; '
        f'src: url("{asset_url("inter.ttf")}") format("truetype"); }}\n'
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
    path = _files().get(name)
    if path is None:
        raise NotFound
    response = send_file(path, conditional=False)
    is_current = digest == _digest(path, path.stat().st_mtime_ns)
    response.headers["Cache-Control"] = FOR_EVER if is_current else BRIEFLY
    return response


@lru_cache(maxsize=64)
def _digest(path: Path, _modified_ns: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def _digest_of_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]
