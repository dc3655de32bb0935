"""Settings of networks that are not ours: the half of `af.core.settings` that only users of such a network need."""

from __future__ import annotations

from dataclasses import dataclass

from af.core import setting_kinds as kinds
from af.core.setting_kinds import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """Part of `af.core.settings.Settings`."""

    # ENS; the node is the one of AF_ETHEREUM_RPC_URLS for the chain
    ens_chain_id: int = setting(
        1, "AF_ENS_CHAIN_ID", "Chain whose ENS is used: 1 is Ethereum, 11155111 Sepolia.", kinds.integer(1, 2**53)
    )
    ens_registry: str = setting(
        "0x00000000000C2E074eC69A0dFb2997BA6C7d2e1e",
        "AF_ENS_REGISTRY",
        "Address of the ENS registry there.",
        kinds.ethereum_address,
    )
    ens_private_key: str = setting(
        "",
        "AF_ENS_PRIVATE_KEY",
        "Private key (64 hex digits) that pays for and signs transactions of `af ens send`; people with a wallet of "
        "their own need none.",
        kinds.ethereum_key,
        secret=True,
    )
    ens_fee_gwei_max: int = setting(
        100,
        "AF_ENS_FEE_GWEI_MAX",
        "Most that such a transaction may pay for a unit of gas, in gwei; above it nothing is sent.",
        kinds.integer(1, 1_000_000),
    )

    # Filecoin
    lighthouse_api_key: str = setting(
        "", "AF_LIGHTHOUSE_API_KEY", "API key of Lighthouse, which keeps copies on IPFS and Filecoin.", secret=True
    )
    lighthouse_api_url: str = setting(
        "https://api.lighthouse.storage", "AF_LIGHTHOUSE_API_URL", "Where Lighthouse is asked.", kinds.http_url
    )
    lighthouse_upload_url: str = setting(
        "https://upload.lighthouse.storage", "AF_LIGHTHOUSE_UPLOAD_URL", "Where it takes content.", kinds.http_url
    )
    lighthouse_gateway_url: str = setting(
        "https://gateway.lighthouse.storage", "AF_LIGHTHOUSE_GATEWAY_URL", "Where copies are read back.", kinds.http_url
    )
    filecoin_pin_url: str = setting(
        "", "AF_FILECOIN_PIN_URL", "Your Filecoin Pin daemon, for example http://127.0.0.1:3456.", kinds.http_url
    )
    filecoin_pin_token: str = setting("", "AF_FILECOIN_PIN_TOKEN", "What it takes as Bearer.", secret=True)
    filecoin_pin_gateway_url: str = setting(
        "",
        "AF_FILECOIN_PIN_GATEWAY_URL",
        "A trustless gateway that reads what is stored there, so that copies can be proved; empty for none.",
        kinds.http_url,
    )

    # Arweave
    arweave_key_file: str = setting(
        "", "AF_ARWEAVE_KEY_FILE", "Key file (JWK) of the Arweave wallet that signs and pays for copies there."
    )
    arweave_key: str = setting("", "AF_ARWEAVE_KEY", "The content of such a file, in its place.", secret=True)
    arweave_gateway: str = setting(
        "https://arweave.net", "AF_ARWEAVE_GATEWAY", "Where Arweave is read, and asked about.", kinds.http_url
    )
    arweave_upload_url: str = setting(
        "https://upload.ardrive.io/v1",
        "AF_ARWEAVE_UPLOAD_URL",
        "Upload service (Turbo's API) that takes signed items; off means that transactions go to the gateway.",
        kinds.http_url_or_off,
    )
    arweave_payment_url: str = setting(
        "https://payment.ardrive.io/v1",
        "AF_ARWEAVE_PAYMENT_URL",
        "Where that service tells its prices.",
        kinds.http_url,
    )
    arweave_winston_max: int = setting(
        100_000_000_000,
        "AF_ARWEAVE_WINSTON_MAX",
        "Most that one upload may cost, in winston (10^12 are 1 AR; 0.1 AR by default).",
        kinds.integer(0, 10**18),
    )
    arweave_confirmations: int = setting(
        50,
        "AF_ARWEAVE_CONFIRMATIONS",
        "Blocks after which a transaction counts as final; the network itself goes back at most 50.",
        kinds.integer(1, 10_000),
    )

    # Pinning and retrieval
    pin_bytes_max: int = setting(
        100 << 30,
        "AF_PIN_BYTES_MAX",
        "What one project may keep by pins when it asks for another one to be fetched.",
        kinds.integer(0, 1 << 50),
    )
    retrieval_gateways: str = setting(
        "",
        "AF_RETRIEVAL_GATEWAYS",
        "Trustless gateways that content is fetched from for pin requests: https://trustless-gateway.link, …; asked in "
        "this order, after what a pin names itself. May be private addresses.",
        kinds.origins,
    )
    private_origins: str = setting(
        "",
        "AF_PRIVATE_ORIGINS",
        "Gateways on private addresses that a pin may name as origins: http://10.0.0.5:8080, ….",
        kinds.origins,
    )
    retrieval_patience_seconds: float = setting(
        60.0,
        "AF_RETRIEVAL_PATIENCE_SECONDS",
        "A pin request fails when no block came for so long.",
        kinds.number(1, 86_400),
    )
    retrieval_seconds_max: int = setting(
        3600,
        "AF_RETRIEVAL_SECONDS_MAX",
        "Longest time that a pin request may take in all.",
        kinds.integer(1, 7 * 86_400),
    )

    # Names
    gateway_hosts: str = setting(
        "",
        "AF_GATEWAY_HOSTS",
        "More hosts that are IPFS gateways, with commas: /ipfs/… and /ipns/… there lead to <cid>.ipfs.<host> and "
        "<name>.ipns.<host>. Behind a front, its X-Forwarded-Host and X-Forwarded-Proto count for them.",
        kinds.hosts,
    )
    dnslink_map: str = setting(
        "",
        "AF_DNSLINK_MAP",
        "DNSLinks of our own, before DNS is asked: example.org:/ipfs/bafy…,www.example.org:/ipns/k51….",
        kinds.dnslink_map,
    )
    dns_resolvers: str = setting(
        "",
        "AF_DNS_RESOLVERS",
        "Name servers asked for DNSLinks: IP addresses with commas; empty means the system's, off asks nobody.",
        kinds.dns_resolvers,
    )

    # Copies at pinning services
    pinning_services: str = setting(
        "",
        "AF_PINNING_SERVICES",
        "Services that speak the Pinning Service API, where copies may be kept: JSON "
        '[{"name", "endpoint", "token", "gateway"?}, …]. A copy is proved by reading it from the gateway.',
        kinds.pinning_services,
        secret=True,
    )
    pinata_jwt: str = setting("", "AF_PINATA_JWT", "API key (JWT) of Pinata.", secret=True)
    pinata_upload_url: str = setting(
        "https://uploads.pinata.cloud", "AF_PINATA_UPLOAD_URL", "Where Pinata takes content.", kinds.http_url
    )
    pinata_api_url: str = setting(
        "https://api.pinata.cloud", "AF_PINATA_API_URL", "Where Pinata is asked.", kinds.http_url
    )
    pinata_gateway: str = setting(
        "https://gateway.pinata.cloud", "AF_PINATA_GATEWAY", "Where copies at Pinata are read back.", kinds.http_url
    )
    filebase_token: str = setting("", "AF_FILEBASE_TOKEN", "IPFS RPC token of a Filebase bucket.", secret=True)
    filebase_rpc_url: str = setting(
        "https://rpc.filebase.io", "AF_FILEBASE_RPC_URL", "Filebase's IPFS RPC.", kinds.http_url
    )
    filebase_gateway: str = setting(
        "https://ipfs.filebase.io", "AF_FILEBASE_GATEWAY", "Where copies at Filebase are read back.", kinds.http_url
    )
