"""What can go wrong on the client's side of the wire, with the exit code that ``af`` ends with."""

from __future__ import annotations

from typing import Any, ClassVar

NOT_OURS = "Is this the address of an Alternate Futures platform?"
_EXIT_BY_KIND = {
    "invalid_input": 2,
    "unauthenticated": 4,
    "forbidden": 4,
    "not_found": 5,
    "conflict": 6,
    "too_large": 2,
    "rate_limited": 7,
    "quota_exceeded": 7,
    "upstream": 8,
    "unavailable": 8,
    "timeout": 8,
    "internal": 70,
}


class SdkError(Exception):
    """``message`` says what happened, ``cause`` why, ``hint`` what to do next; ``reference`` is ``AF<number>``."""

    code: str = "sdk_error"
    number: int = 9000
    exit_code: int = 1
    explain: ClassVar[str] = "The client failed. The message says what happened."

    def __init__(self, message: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause
        self.hint = hint

    @property
    def reference(self) -> str:
        return f"AF{self.number}"


class UsageError(SdkError):
    """The command or call cannot mean anything as it was given."""

    code = "usage"
    number = 9001
    exit_code = 2
    explain = "The command was used in a way that it does not support. `af COMMAND --help` shows what it takes."


class NetworkError(SdkError):
    """The platform could not be reached, or was lost for too long."""

    code = "network"
    number = 9002
    exit_code = 8
    explain = (
        "The platform did not answer within 20 seconds. Start it with `af up`, or check AF_API_URL and the active "
        "profile (`af whoami`)."
    )


class NotSignedIn(SdkError):
    """No token is known for this address, or the session is over."""

    code = "not_signed_in"
    number = 9003
    exit_code = 4
    explain = (
        "No token was found in AF_TOKEN, FLEEK_TOKEN or the active profile; or the session was ended, or a sign-in was "
        "refused. Run `af login`; in a pipeline set AF_TOKEN, or run `af login --ci`."
    )


class FolderError(SdkError):
    """The folder or file cannot be deployed as it is."""

    code = "folder"
    number = 9004
    exit_code = 2
    explain = (
        "The folder is missing, empty, or holds something that cannot be published: a symlink that leaves it, a "
        "special file, a name with control characters or over 255 bytes. The message names the first such path."
    )


class FolderChanged(SdkError):
    """A file changed while it was being uploaded."""

    code = "folder_changed"
    number = 9005
    exit_code = 1
    explain = "A file changed between hashing and upload, so it no longer matches the root CID. Deploy again."


class DeploymentFailed(SdkError):
    """The platform ended the deployment in another state than ready."""

    code = "deployment_failed"
    number = 9006
    exit_code = 1
    explain = "The deployment reached a final state that is not `ready`. `af logs DEPLOYMENT` shows why."


class BuildNeeded(SdkError):
    """The folder holds sources, not a built site."""

    code = "build_needed"
    number = 9007
    exit_code = 3
    explain = (
        "The folder has a build script but no built output. Build it, then run `af deploy` again or name the output."
    )


class NotFoundHere(SdkError):
    """Nothing on this machine or in this project matches the name."""

    code = "not_found_here"
    number = 9008
    exit_code = 5
    explain = (
        "No site, project, profile or deployment with this name was found. The lists (`af sites list` …) show what is."
    )


class ConfigError(SdkError):
    """A project or credentials file cannot be read."""

    code = "config"
    number = 9009
    exit_code = 2
    explain = "A configuration file (af.json, af.toml, fleek.config.json or the credentials file) is not valid."


class NameNotActive(SdkError):
    """The chain does not (yet) say that the ENS name points at what it should."""

    code = "name_not_active"
    number = 9011
    exit_code = 1
    explain = (
        "On the chain the ENS name does not point at the wanted content: the transaction is not sent, not mined or "
        "refused, or the name was changed. The message has what the chain said. `af ens tx NAME` shows what to sign."
    )


class PinFailed(SdkError):
    """Content that was asked for did not come, or not yet."""

    code = "pin_failed"
    number = 9012
    exit_code = 1
    explain = (
        "The platform could not fetch the content of a pin request, or has not yet. The cause says what each source "
        "answered; `af pins get REQUEST` shows it again. Name a gateway that has it: `af pins add CID --origin URL`."
    )


class ContentWrong(SdkError):
    """What came is not what its CID says, or cannot be files on this machine."""

    code = "content_wrong"
    number = 9013
    exit_code = 1
    explain = (
        "Content is checked against its CID on this machine. It was damaged or cut on its way, or it has names or "
        "symlinks that must not be written as files. `af storage export CID -o FILE.car` fetches it as it is."
    )


class NotFinal(SdkError):
    """What was put on Arweave is not there for good, or not yet."""

    code = "not_final"
    number = 9014
    exit_code = 1
    explain = (
        "The upload to Arweave was taken, but is not final: the network has not confirmed it often enough yet, or it "
        "was lost. `af storage arweave REF` shows how far it is; storing the same content again does not pay twice."
    )


class ApiError(SdkError):
    """The platform refused. ``kind`` is one of the closed set of error kinds, ``code`` the precise reason."""

    def __init__(self, document: dict[str, Any], *, status: int = 200) -> None:
        super().__init__(str(document.get("message") or "The platform refused."), hint=str(document.get("hint") or ""))
        self.kind = str(document.get("kind") or "internal")
        self.code = str(document.get("code") or self.kind)
        reference = str(document.get("reference") or "AF1000")
        self.number = int(reference[2:]) if reference[2:].isdecimal() and len(reference) <= 10 else 1000
        self.exit_code = _EXIT_BY_KIND.get(self.kind, 1)
        self.status = status
        self.field = document.get("field")
        self.request_id = str(document.get("requestId") or "")
        self.cause = f"request {self.request_id}" if self.kind == "internal" and self.request_id else ""
        self.extensions = document


class UnexpectedReply(ApiError):
    """What answered does not speak as the platform does."""

    code = "unexpected_reply"
    number = 9010
    exit_code = 8
    explain = (
        "Something answered at the address, but not as an Alternate Futures platform does: another program, a proxy's "
        "page, or a redirect. Check AF_API_URL and the active profile (`af whoami`)."
    )

    def __init__(self, what: str, *, cause: str = "", hint: str = "", status: int = 200) -> None:
        document = {
            "message": f"The address answered with {what}.",
            "kind": "upstream",
            "code": type(self).code,
            "reference": f"AF{type(self).number}",
            "hint": hint or NOT_OURS,
        }
        super().__init__(document, status=status)
        self.cause = cause
