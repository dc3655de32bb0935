"""How a setting is declared, and the kinds of values that there are: each turns the text of an environment variable
into a value, or says by `ValueError` what it must be."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Parse = Callable[[str], Any]
_SERVICE_KEYS = frozenset({"name", "endpoint", "token", "gateway"})
_SERVICE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


def integer(low: int, high: int) -> Parse:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


def number(low: float, high: float) -> Parse:
    def parse(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise ValueError(f"must be between {low} and {high}")
        return value

    return parse


def flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("0", "false", "no", "off", ""):
        return False
    raise ValueError("must be true or false")


def one_of(*allowed: str) -> Parse:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return text

    return parse


def domain(text: str) -> str:
    name = text.strip().lower().rstrip(".")
    labels = name.split(".")
    if not name or len(name) > 253 or any(not label or len(label) > 63 for label in labels):
        raise ValueError("must be a DNS name such as example.org")
    if not all(c.isascii() and (c.isalnum() or c in "-.") for c in name):
        raise ValueError("must be a DNS name such as example.org (punycode for other scripts)")
    return name


def origins(text: str) -> str:
    """Origins with commas between them, each as a browser writes it."""
    origins = [part.strip().rstrip("/").lower() for part in text.split(",") if part.strip()]
    for origin in origins:
        parts = urlsplit(origin)
        plain = f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or plain != origin:
            raise ValueError("must be origins such as https://app.example.org, with commas between them")
    return ",".join(origins)


def database_url(text: str) -> str:
    if text.partition(":")[0].partition("+")[0] not in ("postgresql", "postgres", "sqlite"):
        raise ValueError("must be postgresql://user:password@host/database")
    urlsplit(text).port  # noqa: B018 - raises ValueError for a host or port that cannot be
    return text


def chain_addresses(text: str) -> dict[str, str]:
    """``1=https://…,8453=https://…``: chain id -> address of a node. :raises ValueError: it is not that."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        chain_id, _, address = part.partition("=")
        if not (chain_id.isascii() and chain_id.isdigit() and str(int(chain_id)) == chain_id):
            raise ValueError("must be chain ids with addresses such as 1=https://…,8453=https://…")
        if urlsplit(address).scheme not in ("http", "https") or not urlsplit(address).hostname:
            raise ValueError(f"must have an http(s) address for chain {chain_id}")
        found[chain_id] = address
    return found


def chains(text: str) -> str:
    chain_addresses(text)
    return text


def ethereum_address(text: str) -> str:
    from af.protocols.ethereum import parse_address, to_text

    return to_text(parse_address(text))


def ethereum_key(text: str) -> str:
    from af.protocols.ethereum_transactions import parse_key

    return parse_key(text).hex() if text else ""


def smtp_url(text: str) -> str:
    from af.core.messages.smtp import parse_url

    if text:
        parse_url(text)
    return text


def mail_from(text: str) -> str:
    from af.core.messages.smtp import parse_sender

    if text:
        parse_sender(text)
    return text


def http_url(text: str) -> str:
    parts = urlsplit(text)
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password):
        raise ValueError("must be http(s)://host/path, without a user name or password")
    return text


def ip_address(text: str) -> str:
    if text:
        ipaddress.ip_address(text)
    return text


def peer_addresses(text: str) -> dict[str, list[str]]:
    """libp2p addresses with commas between them: peer id -> addresses without it. :raises ValueError:"""
    found: dict[str, list[str]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        address, mark, peer_id = part.rpartition("/p2p/")
        if not (mark and address.startswith("/") and peer_id.isascii() and peer_id.isalnum()):
            raise ValueError("must be addresses such as /ip4/192.0.2.7/tcp/4001/p2p/12D3Koo…, with commas between them")
        found.setdefault(peer_id, []).append(address)
    return found


def peers(text: str) -> str:
    peer_addresses(text)
    return text


def pinning_services(text: str) -> str:
    """A JSON list of services with a name, endpoint and token each."""
    listed = json.loads(text) if text else []
    if not isinstance(listed, list):
        raise ValueError("must be a JSON list of services")
    names = []
    for service in listed:
        if not isinstance(service, dict) or not {"name", "endpoint", "token"} <= service.keys() <= _SERVICE_KEYS:
            raise ValueError("must be a JSON list of {name, endpoint, token, gateway?}")
        if not all(isinstance(value, str) for value in service.values()) or not _SERVICE_NAME.fullmatch(
            service["name"]
        ):
            raise ValueError("services have names of letters, digits and hyphens; all values are text")
        http_url(service["endpoint"])
        http_url(service.get("gateway", ""))
        names.append(service["name"])
    if len(set(names)) != len(names):
        raise ValueError("two services have one name")
    return text


def hosts(text: str) -> str:
    """Host names with commas between them."""
    return ",".join(domain(part.strip()) for part in text.split(",") if part.strip())


def dnslinks(text: str) -> dict[str, str]:
    """``example.org:/ipfs/<cid>,…``: host -> where its DNSLink leads. :raises ValueError: it is not that."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        host, _, target = part.partition(":")
        kind, _, name = target.removeprefix("/").partition("/")
        if not target.startswith("/") or kind not in ("ipfs", "ipns") or not name.strip("/"):
            raise ValueError("must be hosts with paths such as example.org:/ipfs/bafy…, with commas between them")
        found[domain(host)] = target
    return found


def dnslink_map(text: str) -> str:
    dnslinks(text)
    return text


def dns_resolvers(text: str) -> str:
    """``off``, or IP addresses with commas between them, each perhaps with a port: ``9.9.9.9, 127.0.0.1:5353``."""
    if text.strip().lower() == "off":
        return "off"
    for part in filter(None, (part.strip() for part in text.split(","))):
        dns_server(part)
    return text


def dns_server(text: str) -> tuple[str, int]:
    """Address and port of a name server: ``9.9.9.9``, ``127.0.0.1:5353``, ``2620:fe::fe``, ``[::1]:5353``.

    :raises ValueError: it is not that.
    """
    parts = urlsplit(f"//{text}" if text.count(":") < 2 or text.startswith("[") else f"//[{text}]")
    if not parts.hostname or parts.path or parts.username is not None:
        raise ValueError("must be off, or IP addresses of name servers (:port if not 53) with commas between them")
    return str(ipaddress.ip_address(parts.hostname)), parts.port or 53


def http_url_or_off(text: str) -> str:
    return text if text == "off" else http_url(text)


def s3_bucket(text: str) -> str:
    """A bucket's name: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html."""
    inner = text.replace(".", "").replace("-", "")
    if text and not (3 <= len(text) <= 63 and inner.isascii() and inner.isalnum() and text == text.lower()):
        raise ValueError("must be the name of a bucket: 3 to 63 of a-z, 0-9, - and .")
    return text


def s3_region(text: str) -> str:
    if not (text.isascii() and text.replace("-", "").isalnum()):
        raise ValueError("must be the name of a region such as us-east-1")
    return text


def s3_prefix(text: str) -> str:
    """Empty, or with one slash at the end and none at the beginning."""
    parts = text.strip("/").split("/")
    if not text.strip("/"):
        return ""
    good = all(part and part not in (".", "..") and part.isascii() and part.isprintable() for part in parts)
    if not good or len(text) > 200:
        raise ValueError("must be a short path such as blocks/ or team/blocks/")
    return "/".join(parts) + "/"


def path(text: str) -> Path:
    return Path(text).expanduser()


def setting(default: Any, env: str, help: str, parse: Parse = str, *, secret: bool = False) -> Any:
    """Declare one setting as a dataclass field; ``parse`` turns the text of the environment into the value."""
    return field(
        default=default,
        metadata={"env": env, "help": help, "parse": parse, "secret": secret},
    )
