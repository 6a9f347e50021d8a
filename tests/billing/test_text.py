import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import InvalidArgument
from billing.text import parse_email, parse_text


def parse(value: object) -> str:
    return parse_text(value, "description", longest=500)


@pytest.mark.parametrize(
    "text",
    ["hung", " as it came ", "<b>&amp;</b>", "=1+1", "ქართული", "👩‍👩‍👧", "two\nlines\tof it\r\n", "é" * 500],
)
def test_text_is_kept_as_it_came(text):
    assert parse(text) == text


@pytest.mark.parametrize("value", [None, "", " ", "\n\t", "\u00a0\u2003"])
def test_white_space_alone_counts_as_missing(value):
    with pytest.raises(InvalidArgument, match=r"^description is required$") as caught:
        parse(value)
    assert (caught.value.reason, caught.value.field) == ("required", "description")


def test_optional_text_may_be_missing():
    assert parse_text(None, "reason", longest=500, required=False) == ""


def test_length_is_counted_in_characters_rather_than_bytes():
    assert parse("👍" * 500)
    with pytest.raises(InvalidArgument, match=r"^description cannot exceed 500 characters$"):
        parse("a" * 501)


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "\udfff", "a\x1bb", "a\x7fb"])
def test_what_cannot_be_stored_is_refused(text):
    with pytest.raises(InvalidArgument, match="cannot be stored"):
        parse(text)


@pytest.mark.parametrize("value", [1, True, [], {}, b"hung"])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(InvalidArgument, match=r"^description must be text$"):
        parse(value)


@given(st.text(max_size=600))
def test_accepted_text_can_be_encoded(text):
    try:
        accepted = parse(text)
    except InvalidArgument:
        return
    assert accepted == text
    assert b"\x00" not in accepted.encode()


@pytest.mark.parametrize("email", ["a@b", "Ann@Example.com", "a@b@c"])
def test_an_address_has_something_on_both_sides(email):
    assert parse_email(email) == email


@pytest.mark.parametrize("email", ["nobody", "@", "a@", "@b", "a b@c", "a@b\n", " ", "a" * 250 + "@b.example"])
@pytest.mark.parametrize("required", [False, True])
def test_what_is_no_address_is_refused(email, required):
    with pytest.raises(InvalidArgument, match="email"):
        parse_email(email, required=required)


def test_an_optional_address_may_be_missing():
    assert parse_email("", required=False) == ""
    with pytest.raises(InvalidArgument, match=r"^email is required$"):
        parse_email("")
