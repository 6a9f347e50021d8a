"""Whether a logo can stand on every document of a bill: what can't be printed later isn't taken now."""

from __future__ import annotations

import json
from importlib import import_module

from billing.errors import InvalidArgument
from billing.logo import Logo

_PAGE = b"#image(bytes(json(bytes(sys.inputs.picture))))"


def printable(content: bytes) -> Logo:
    """The picture, decoded once by what makes the PDFs. Raises InvalidArgument, with the field `logo`."""
    logo = Logo.parse(content)
    typst = import_module("typst")  # tens of megabytes, which only the process that gets a logo needs
    try:
        typst.compile(_PAGE, sys_inputs={"picture": json.dumps(list(content))}, ignore_system_fonts=True)
    except typst.TypstError:
        raise InvalidArgument("the logo is damaged: its picture cannot be read", field="logo") from None
    return logo
