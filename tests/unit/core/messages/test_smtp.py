"""SMTP against a real mail server (Mailpit): what arrives, TLS, and which failures are final."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from email.policy import default as default_policy
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from af.core.clock import SystemClock
from af.core.messages import smtp, texts
from af.core.messages.catalogue import TEMPLATES
from af.core.messages.errors import DeliveryDelayed, DeliveryRefused
from tests.support import mail, ports

CONTENT = texts.render(
    "sign_in",
    {name: "482913" if name == "code" else "ä" for name in TEMPLATES["sign_in"].values}
    | {"link": "https://a.example/x"},
    locale="de",
    host="app.example.org",
)


def mailer(url: str, sender: str = "Älternate “Futures” <no-reply@example.org>") -> smtp.SmtpMailer:
    return smtp.SmtpMailer(
        smtp.parse_url(url), sender=smtp.parse_sender(sender), host="app.example.org", clock=SystemClock()
    )


async def send(url: str, to: str = "ada@example.org") -> None:
    await mailer(url).send(to, CONTENT, message_id="msg_1")


# --- what arrives


async def test_a_mail_arrives_whole(mailbox: mail.Mailpit) -> None:
    await send(mailbox.smtp_url.replace("smtp://", "smtp://user:p%40ss@"))
    [found] = mailbox.messages("ada@example.org")
    assert (found.sender, found.recipients) == ("no-reply@example.org", ("ada@example.org",))
    assert found.subject == "Anmelden bei app.example.org"
    assert found.text.replace("\r\n", "\n").strip() == CONTENT.text.strip()
    assert found.html.replace("\r\n", "\n").strip() == CONTENT.html.strip()
    assert found.headers["Message-Id"] == ["<msg_1@app.example.org>"]
    assert found.headers["Auto-Submitted"] == ["auto-generated"]
    assert len(found.headers["Date"]) == 1
    parsed = message_from_bytes(found.source, policy=default_policy)
    assert parsed["From"].addresses[0].display_name == "Älternate “Futures”"
    assert [part.get_content_type() for part in parsed.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert all(len(line) <= 998 for line in found.source.split(b"\r\n"))


async def test_an_injected_address_reaches_nobody(mailbox: mail.Mailpit) -> None:
    for address in (
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org>\r\nRCPT TO:<eve@example.org",
        "a@b.org,c@d.org",
    ):
        with pytest.raises(smtp.addresses.InvalidAddress):
            await send(mailbox.smtp_url, address)
    assert mailbox.messages() == []


async def test_an_injected_subject_is_no_header(mailbox: mail.Mailpit) -> None:
    with pytest.raises(ValueError, match=r"newline|linefeed|carriage"):
        await mailer(mailbox.smtp_url).send(
            "ada@example.org", replace(CONTENT, subject="x\r\nBcc: eve@example.org"), message_id="msg_1"
        )
    assert mailbox.messages() == []


# --- failures


@pytest.mark.parametrize(("code", "error"), [(550, DeliveryRefused), (451, DeliveryDelayed)])
async def test_a_recipient_is_refused_for_good_or_for_now(
    mailbox: mail.Mailpit, code: int, error: type[Exception]
) -> None:
    mailbox.misbehave(recipient=code)
    with pytest.raises(error) as refused:
        await send(mailbox.smtp_url)
    assert str(code) in refused.value.detail  # type: ignore[attr-defined]
    assert "ada" not in refused.value.detail  # type: ignore[attr-defined]


@pytest.mark.parametrize("trigger", ["sender", "authentication"])
async def test_what_is_wrong_with_our_settings_is_tried_again(mailbox: mail.Mailpit, trigger: str) -> None:
    """The operator may mend it while messages are still worth something."""
    mailbox.misbehave(**{trigger: 535 if trigger == "authentication" else 550})
    with pytest.raises(DeliveryDelayed):
        await send(mailbox.smtp_url.replace("smtp://", "smtp://user:secret@"))


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    with pytest.raises(DeliveryDelayed):
        await send(f"smtp://127.0.0.1:{ports.free_port()}")


def test_reasons_quote_no_address_and_stay_short() -> None:
    said = "5.1.1 <ada@example.org>: user\r\n unknown; see ADA@EXAMPLE.ORG " + "x" * 1000
    assert smtp.redacted(said).startswith("5.1.1 [address] user unknown; see [address] xxx")
    assert len(smtp.redacted(said)) == smtp.REASON_CHARS_MAX


# --- TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, as PEM files."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.test")])
    now = SystemClock().now()
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(params=["starttls", "tls"])
def secured(
    request: pytest.FixtureRequest, mailpit: mail.Mailpit, certificate: tuple[Path, Path], tmp_path: Path
) -> Iterator[tuple[mail.Mailpit, str]]:
    """A server that insists on TLS, and its AF_SMTP_URL without options."""
    cert, key = certificate
    options = ["--smtp-tls-cert", str(cert), "--smtp-tls-key", str(key), f"--smtp-require-{request.param}"]
    with mail.running(mail.MAILPIT.or_skip(), tmp_path, *options, "--smtp-auth-accept-any") as server:
        scheme = "smtp" if request.param == "starttls" else "smtps"
        yield server, f"{scheme}://user:secret@127.0.0.1:{server.smtp_port}"


async def test_mail_goes_over_tls(secured: tuple[mail.Mailpit, str], certificate: tuple[Path, Path]) -> None:
    server, url = secured
    options = f"ca={certificate[0]}" + ("&starttls=on" if url.startswith("smtp:") else "")
    await send(f"{url}?{options}")
    assert len(server.messages("ada@example.org")) == 1


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(secured: tuple[mail.Mailpit, str]) -> None:
    server, url = secured
    with pytest.raises(DeliveryDelayed) as refused:
        await send(url + ("?starttls=on" if url.startswith("smtp:") else ""))
    assert "certificate" in refused.value.detail.lower()
    assert server.messages() == []


async def test_a_server_without_starttls_gets_nothing_when_tls_is_wanted(mailbox: mail.Mailpit) -> None:
    with pytest.raises(DeliveryDelayed):
        await send(f"{mailbox.smtp_url}?starttls=on")
    assert mailbox.messages() == []


# --- settings


@pytest.mark.parametrize(
    ("url", "port", "implicit", "starttls"),
    [
        ("smtp://mail.example.org", 587, False, True),
        ("smtps://mail.example.org", 465, True, False),
        ("smtp://mail.example.org:25?starttls=off", 25, False, False),
        ("smtp://127.0.0.1:1025", 1025, False, False),
        ("smtp://localhost:1025?starttls=on", 1025, False, True),
        ("smtp://[::1]:1025", 1025, False, False),
    ],
)
def test_tls_is_required_except_on_this_machine(url: str, port: int, implicit: bool, starttls: bool) -> None:
    server = smtp.parse_url(url)
    assert (server.port, server.implicit_tls, server.starttls) == (port, implicit, starttls)


def test_credentials_are_decoded_and_not_shown() -> None:
    server = smtp.parse_url("smtp://ada%40example.org:p%2Fw%3A@mail.example.org")
    assert (server.user, server.password) == ("ada@example.org", "p/w:")
    assert "p/w" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        *("http://a.org", "smtp://", "smtp://a.org/x", "smtp://a.org?x=1", "smtp://a.org?starttls=maybe"),
        *("smtp://a.org:x", "smtps://a.org?starttls=on", "a.org:25", "smtp://a.org:99999"),
    ],
)
def test_a_wrong_mail_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        smtp.parse_url(url)


@pytest.mark.parametrize("text", ["", "x", "A <a@b.org>, B <b@c.org>", "A\n <a@b.org>", "a@b", "A <a@b.org\r\nX: y>"])
def test_a_wrong_sender_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        smtp.parse_sender(text)
