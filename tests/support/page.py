"""An HTML answer as a test looks at it: elements by id, their text, and forms as a browser would send them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Element:
    tag: str
    attributes: dict[str, str]
    parts: list[Element | str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Element]:
        for part in self.parts:
            if isinstance(part, Element):
                yield part
                yield from part

    @property
    def text(self) -> str:
        """What is read, blanks made one."""
        raw = "".join(part if isinstance(part, str) else f" {part.text} " for part in self.parts)
        return " ".join(raw.split())

    def all(self, tag: str | None = None, **attributes: str) -> list[Element]:
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [e for e in self if (tag is None or e.tag == tag) and wanted.items() <= e.attributes.items()]

    def id(self, element_id: str) -> Element:
        found = self.all(id=element_id)
        assert len(found) == 1, f"{len(found)} elements have the id {element_id}"
        return found[0]

    def has(self, element_id: str) -> bool:
        return bool(self.all(id=element_id))

    def with_class(self, name: str) -> list[Element]:
        return [e for e in self if name in e.attributes.get("class", "").split()]

    def money(self) -> list[str]:
        """The figures with their currencies, as they are for programs."""
        return [f"{e.attributes['value']} {e.with_class('code')[0].text}" for e in self.with_class("money")]

    def form(self, action: str) -> dict[str, str]:
        """What the page's own form with this action (the last one) would send as it stands."""
        form = self.all("form", action=action)[-1]
        own = form.attributes.get("id")
        controls = [e for e in form if "form" not in e.attributes]
        controls += [e for e in self if own and e.attributes.get("form") == own]
        return {e.attributes["name"]: _value(e) for e in controls if "name" in e.attributes}


def _value(control: Element) -> str:
    if control.tag == "textarea":
        return "".join(part for part in control.parts if isinstance(part, str)).removeprefix("\n")
    if control.tag != "select":
        return control.attributes.get("value", "")
    options = control.all("option")
    chosen = next((o for o in options if "selected" in o.attributes), options[0])
    return chosen.attributes.get("value", chosen.text)


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].parts.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open[-1].parts.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def parse(html: str) -> Element:
    """Fails for an element that isn't closed."""
    parser = _Parser()
    parser.feed(html)
    parser.close()
    assert len(parser.open) == 1, f"<{parser.open[-1].tag}> isn't closed"
    return parser.open[0]
