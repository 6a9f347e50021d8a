"""The page of components."""

import re


def test_every_component_is_shown_to_whoever_may_look(viewer):
    viewer.open("/design")
    shown = viewer.answer.text
    for class_ in (
        "btn primary",
        "field",
        "money",
        "status open",
        "stats",
        "chip",
        "pager",
        "notice bad",
        "timeline",
        "empty",
    ):
        assert re.search(rf'class="[^"]*{class_}', shown), class_


def test_the_dialog_is_a_page_of_its_own_without_script(viewer):
    viewer.open("/design/dialog")
    assert "<nav" in viewer.answer.text
    viewer.open("/design/dialog", htmx=True)
    assert viewer.answer.text.lstrip().startswith("<dialog")


def test_money_has_all_minor_units_of_its_currency(viewer):
    viewer.open("/design")
    figures = re.findall(r'class="figure">([^<]+)<', viewer.answer.text)
    assert {"36,000", "12.500", "0.0001", "71.82", "71.8225"} <= set(figures)
