"""Texts: every message in every language, and no value is ever more than a piece of text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from af.core.clock import SystemClock
from af.core.messages import Channel, Message, smtp, texts
from af.core.messages.catalogue import TEMPLATES, Kind, checked_values

EVERY = [(name, language) for name in TEMPLATES for language in texts.languages()]
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{ host }}{% raw %}\r\nBcc: eve@evil.example\r\n\r\n# 1\n\n> Win: http://evil.example"
LINK = "https://app.example.org/x?code=1&next=%2F"


def rendered(template: str, language: str, text: str) -> texts.Content:
    kinds = TEMPLATES[template].values
    values = {name: LINK if kind is Kind.LINK else text for name, kind in kinds.items()}
    message = Message(TEMPLATES[template].channel, "ada@example.org", template, values)
    return texts.render(template, checked_values(message), locale=language, host="app.example.org")


class Tags(HTMLParser):
    """The tags with their attributes, and the text, as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_every_message_is_whole_in_every_language(template: str, language: str) -> None:
    content = rendered(template, language, "plain")
    everything = content.subject + content.text + content.html
    assert "{{" not in everything
    assert "{%" not in everything
    assert "app.example.org" in content.text
    if TEMPLATES[template].channel is Channel.SMS:
        assert (content.subject, content.html) == ("", "")
        assert len(content.text) <= 160, "one SMS"
        return
    assert content.subject.isprintable()
    assert f'<html lang="{language}">' in content.html
    for name, kind in TEMPLATES[template].values.items():
        shown = LINK if kind is Kind.LINK else "plain"
        assert shown in content.text, name
        assert shown in "".join(Tags(content.html).words), name


@pytest.mark.parametrize(("template", "language"), EVERY)
def test_a_hostile_value_stays_a_piece_of_text(template: str, language: str) -> None:
    plain, hostile = rendered(template, language, "plain"), rendered(template, language, HOSTILE)
    assert hostile.text.count("\n") == plain.text.count("\n")
    assert Tags(hostile.html).tags == Tags(plain.html).tags
    assert hostile.subject == plain.subject


def test_english_and_german_are_there_for_every_message() -> None:
    files = {language: {path.name for path in (texts._FOLDER / language).iterdir()} for language in texts.languages()}
    wanted = {f"{name}.txt" for name in (*TEMPLATES, "footer")}
    assert files == {"en": wanted, "de": wanted}
    assert rendered("sign_in", "de", "x").subject == "Anmelden bei app.example.org"


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [("de", "de"), ("de-AT", "de"), ("DE_de", "de"), ("fr", "en"), ("", "en"), ("../../x", "en"), ("d" * 999, "en")],
)
def test_a_language_that_is_not_there_is_english(wanted: str, chosen: str) -> None:
    assert texts.language(wanted) == chosen


def test_names_that_people_chose_are_not_made_links_by_mail_programs() -> None:
    values = {"inviter": "Free coins at https://evil.example/x", "organization": "www.evil.example", "role": "MEMBER"}
    message = Message(Channel.EMAIL, "ada@example.org", "invitation", {**values, "days": "7", "link": LINK})
    content = texts.render("invitation", checked_values(message), locale="en", host="app.example.org")
    assert "evil.example" not in content.text + content.html
    assert "Free coins at" in content.text
    assert "203.0.113.7" in rendered("sign_in", "en", "Firefox, 203.0.113.7").text


def test_characters_that_turn_the_direction_of_writing_are_dropped() -> None:
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", rendered("invitation", "en", "abc\u202etxt.exe\u2066").text)


def test_a_long_value_is_shortened_and_a_wrong_link_or_value_is_a_bug() -> None:
    assert len(rendered("new_sign_in", "en", "x" * 100_000).text) < 2000
    for link in ("javascript:alert(1)", "https://a.org/ x", 'https://a.org/"x', "https://a.org/\n", "", "//a.org"):
        with pytest.raises(AssertionError):
            checked_values(
                Message(Channel.EMAIL, "a@b.org", "account_deletion", {"date": "", "days": "", "link": link})
            )
    with pytest.raises(AssertionError):
        checked_values(Message(Channel.SMS, "+4915112345678", "sms_code", {"code": "1"}))
    with pytest.raises(AssertionError):
        checked_values(Message(Channel.EMAIL, "a@b.org", "sms_code", {"code": "1", "minutes": "5"}))


@pytest.mark.parametrize("template", [name for name, each in TEMPLATES.items() if each.channel is Channel.EMAIL])
def test_no_value_makes_a_header(template: str) -> None:
    mail = smtp.compose(
        to="ada@example.org",
        sender=("Alternate Futures", "no-reply@example.org"),
        content=rendered(template, "de", HOSTILE),
        message_id="msg_1",
        host="example.org",
        clock=SystemClock(),
    )
    head = mail.as_bytes().partition(b"\r\n\r\n")[0]
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n") if line[:1] not in (b" ", b"\t")]
    assert sorted(names) == sorted(
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Message-ID",
            "Auto-Submitted",
            "X-Auto-Response-Suppress",
            "MIME-Version",
            "Content-Type",
        ]
    )
