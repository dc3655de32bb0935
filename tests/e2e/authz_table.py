"""Who may do what: one line per GraphQL operation, one per REST route, one per field with a rule of its own.

``who`` is the least powerful caller that may: ``anyone``, ``signed in`` (whoever it is about themselves), ``person``
(the same, but by a session: no access token may), a role in the project, or ``operator`` (runs the platform,
is no member). `test_authz` derives everybody else's refusal from it.
"""

from __future__ import annotations

import base64

from tests.e2e.authz_lines import M, Op, Rest, S, filled
from tests.e2e.authz_lines import first_event as _first_event
from tests.e2e.authz_lines import get as _get
from tests.e2e.authz_lines import send as _send

__all__ = ["FIELDS", "OPERATIONS", "PAGES", "ROUTES", "UNCOVERED", "filled"]


_GUEST_THERE = 'where: {organizationId: "<organization>", userId: "<guest>"}'

_HERE = 'where: {projectId: "<project>"}'
_THE_ACCOUNT = 'where: {projectId: "<project>", id: "<account>"}'

OPERATIONS: dict[str, Op] = {
    "version": Op("anyone", "version"),
    "me": Op("anyone", "me"),
    "personalAccessTokens": Op("signed in", "personalAccessTokens"),
    "apiKeyRateLimit": Op("signed in", "apiKeyRateLimit"),
    "projects": Op("signed in", "projects"),
    "slugAvailability": Op("signed in", 'slugAvailability(where: {slug: "some-name"})'),
    "project": Op("viewer", 'project(where: {id: "<project>"})'),
    "site": Op("viewer", 'site(where: {id: "<site>"})'),
    "siteBySlug": Op("viewer", 'siteBySlug(where: {slug: "<slug>"})'),
    "sites": Op("viewer", "sites"),
    "deployment": Op("viewer", 'deployment(where: {id: "<deployment>"})'),
    "deployments": Op("viewer", 'deployments(siteId: "<site>")'),
    "deploymentDiff": Op("viewer", 'deploymentDiff(where: {from: "<previous>", to: "<deployment>"})'),
    "pins": Op("viewer", "pins"),
    "pin": Op("viewer", 'pin(where: {cid: "<pinned>"})'),
    "pinsByFilename": Op("viewer", 'pinsByFilename(where: {filename: "kept"})'),
    "filecoinDeals": Op("viewer", 'filecoinDeals(where: {cid: "<cid>"})'),
    "privateGateway": Op("viewer", 'privateGateway(where: {id: "<gateway>"})'),
    "privateGatewayBySlug": Op("viewer", 'privateGatewayBySlug(slug: "<gateway_slug>")'),
    "privateGateways": Op("viewer", "privateGateways"),
    "zone": Op("viewer", 'zone(id: "<zone>")'),
    "zones": Op("viewer", "zones"),
    "createPrivateGateway": Op("member", 'createPrivateGateway(data: {name: "x"})', M),
    "updatePrivateGateway": Op("member", 'updatePrivateGateway(where: {id: "<gateway>"}, data: {name: "y"})', M),
    "deletePrivateGateway": Op("member", 'deletePrivateGateway(where: {id: "<gateway>"})', M),
    "createZoneForPrivateGateway": Op("member", "createZoneForPrivateGateway", M),
    "createZoneForSite": Op("member", 'createZoneForSite(where: {siteId: "<site>"})', M, "unavailable"),
    "deleteZone": Op("member", 'deleteZone(where: {id: "<zone>"})', M, "conflict"),
    "storageStats": Op("viewer", "storageStats"),
    "arweaveCost": Op("viewer", 'arweaveCost(where: {cid: "<pinned>"})', instead="unavailable"),
    "arweaveStanding": Op("viewer", f'arweaveStanding(where: {{ref: "{"x" * 43}"}})', instead="unavailable"),
    "storeOnArweave": Op("admin", 'storeOnArweave(where: {cid: "<pinned>"})', M, "unavailable"),
    "storageProviders": Op("signed in", "storageProviders"),
    "replicationPolicies": Op("viewer", "replicationPolicies"),
    "replicas": Op("viewer", "replicas"),
    "verifyContent": Op("viewer", 'verifyContent(where: {cid: "<cid>"})'),
    "setReplicationPolicy": Op(
        "admin", 'setReplicationPolicy(data: {providers: ["pinata"]})', M, instead="unavailable"
    ),
    "deleteReplicationPolicy": Op("admin", "deleteReplicationPolicy", M, instead="not_found"),
    "checkReplicas": Op("member", 'checkReplicas(where: {cid: "<cid>"})', M),
    "blockStoreStats": Op("operator", "blockStoreStats"),
    "ipnsRecord": Op("viewer", 'ipnsRecord(name: "<ipns>")'),
    "ipnsRecords": Op("viewer", "ipnsRecords"),
    "resolveIpnsName": Op("signed in", 'resolveIpnsName(where: {name: "<ipns_name>"})'),
    "createIpnsRecord": Op("member", "createIpnsRecord", M),
    "createIpnsRecordForSite": Op("member", 'createIpnsRecordForSite(where: {siteId: "<site>"})', M),
    "publishIpnsRecord": Op("member", 'publishIpnsRecord(where: {id: "<ipns>"}, data: {hash: "<cid>"})', M),
    "publishSignedIpnsName": Op(
        "member", 'publishSignedIpnsName(data: {key: "<foreign_name>", input: "<foreign_record>"})', M
    ),
    "rotateIpnsRecord": Op("member", 'rotateIpnsRecord(where: {id: "<ipns>"})', M),
    "deleteIpnsRecord": Op("member", 'deleteIpnsRecord(where: {id: "<ipns>"})', M),
    "importIpnsKey": Op("member", 'importIpnsKey(data: {key: "<foreign_key>"})', M),
    "exportIpnsKey": Op("admin", 'exportIpnsKey(where: {id: "<ipns>"})', M),
    "ensRecord": Op("viewer", 'ensRecord(where: {id: "<ens>"})'),
    "ensRecordByName": Op("viewer", 'ensRecordByName(where: {name: "theirs.eth"})'),
    "ensRecords": Op("viewer", "ensRecords"),
    "ensRecordsByIpnsId": Op("viewer", 'ensRecordsByIpnsId(where: {ipnsRecordId: "<ipns>"})'),
    "ensTransaction": Op("viewer", 'ensTransaction(where: {id: "<ens>"})', instead="unavailable"),
    "resolveEnsName": Op("signed in", 'resolveEnsName(where: {name: "theirs.eth"})', instead="unavailable"),
    "createEnsRecord": Op("member", 'createEnsRecord(where: {ipnsRecordId: "<ipns>"}, data: {name: "another.eth"})', M),
    "verifyEnsRecord": Op("member", 'verifyEnsRecord(where: {id: "<ens>"})', M, "unavailable"),
    "sendEnsTransaction": Op("operator", 'sendEnsTransaction(where: {id: "<ens>"})', M, "unavailable"),
    "deleteEnsRecord": Op("member", 'deleteEnsRecord(where: {id: "<ens>"})', M),
    "loginWithPersonalAccessToken": Op(
        "anyone", 'loginWithPersonalAccessToken(data: {personalAccessToken: "<own_secret>"})', M
    ),
    "createPersonalAccessToken": Op("viewer", 'createPersonalAccessToken(name: "x", projectId: "<project>")', M),
    "deletePersonalAccessToken": Op("signed in", 'deletePersonalAccessToken(id: "<own_token>")', M),
    "revokedPersonalAccessToken": Op("signed in", 'revokedPersonalAccessToken(where: {id: "<own_token>"})', M),
    "createLoginLink": Op("signed in", "createLoginLink", M),
    "sessions": Op("person", "sessions"),
    "revokeSession": Op("person", 'revokeSession(where: {id: "ses_x"})', M),
    "revokeAllSessions": Op("person", "revokeAllSessions", M),
    "rotateSigningKeys": Op("operator", "rotateSigningKeys", M),
    "createProject": Op("signed in", 'createProject(data: {name: "another"})', M),
    "organizations": Op("signed in", "organizations"),
    "organization": Op("billing", 'organization(where: {id: "<organization>"})'),
    "invitation": Op("nobody", 'invitation(where: {token: "unknown"})'),
    "accountAuditLog": Op("signed in", "accountAuditLog"),
    "createOrganization": Op("signed in", 'createOrganization(data: {name: "club"})', M),
    "updateOrganization": Op("admin", 'updateOrganization(where: {id: "<organization>"}, data: {name: "t"})', M),
    "deleteOrganization": Op("person", 'deleteOrganization(where: {id: "<organization>"})', M),
    "updateOrganizationMember": Op("admin", f"updateOrganizationMember({_GUEST_THERE}, data: {{role: MEMBER}})", M),
    "setOrganizationAccess": Op(
        "admin", f"setOrganizationAccess({_GUEST_THERE}, data: {{accessAllProjects: false}})", M
    ),
    "removeOrganizationMember": Op("admin", f"removeOrganizationMember({_GUEST_THERE})", M),
    "leaveOrganization": Op("person", 'leaveOrganization(where: {id: "<organization>"})', M),
    "transferOwnership": Op("person", f"transferOwnership({_GUEST_THERE})", M),
    "transferProject": Op("owner", 'transferProject(where: {id: "<project>"}, data: {organizationId: "<moved>"})', M),
    "inviteToOrganization": Op(
        "admin",
        'inviteToOrganization(where: {id: "<organization>"}, data: {email: "new@example.org", role: VIEWER})',
        M,
    ),
    "inviteToProject": Op(
        "admin", 'inviteToProject(where: {id: "<project>"}, data: {email: "new@example.org", role: VIEWER})', M
    ),
    "revokeInvitation": Op("admin", 'revokeInvitation(where: {id: "<invitation>"})', M),
    "resendInvitation": Op("admin", 'resendInvitation(where: {id: "<invitation>"})', M),
    "acceptInvitation": Op("person", 'acceptInvitation(where: {token: "unknown"})', M),
    "updateProject": Op("admin", 'updateProject(where: {id: "<project>"}, data: {name: "renamed"})', M),
    "deleteProject": Op("owner", 'deleteProject(id: "<project>")', M),
    "addMember": Op("admin", 'addMember(where: {projectId: "<project>"}, data: {user: "stranger", role: VIEWER})', M),
    "updateMember": Op(
        "admin", 'updateMember(where: {projectId: "<project>", userId: "<guest>"}, data: {role: MEMBER})', M
    ),
    "removeMember": Op("admin", 'removeMember(where: {projectId: "<project>", userId: "<guest>"})', M),
    "serviceAccounts": Op("admin", f"serviceAccounts({_HERE})"),
    "trustRules": Op("admin", f"trustRules({_HERE})"),
    "createServiceAccount": Op("person", f'createServiceAccount({_HERE}, data: {{name: "bot"}})', M),
    "deleteServiceAccount": Op("admin", f"deleteServiceAccount({_THE_ACCOUNT})", M),
    "createServiceAccountToken": Op("person", f'createServiceAccountToken({_THE_ACCOUNT}, data: {{name: "x"}})', M),
    "revokeServiceAccountToken": Op(
        "admin",
        'revokeServiceAccountToken(where: {projectId: "<project>", id: "<account>", tokenId: "<account_token>"})',
        M,
    ),
    "createTrustRule": Op(
        "person",
        f'createTrustRule({_HERE}, data: {{serviceAccountId: "<account>", name: "x", issuer: "https://a.example", '
        'subject: "x"})',
        M,
    ),
    "deleteTrustRule": Op("admin", 'deleteTrustRule(where: {projectId: "<project>", id: "<rule>"})', M),
    "createSite": Op("member", 'createSite(data: {name: "new"})', M),
    "updateSite": Op("member", 'updateSite(where: {id: "<site>"}, data: {name: "renamed"})', M),
    "deleteSite": Op("member", 'deleteSite(where: {id: "<site>"})', M),
    "createDeployment": Op("member", 'createDeployment(data: {siteId: "<site>", cid: "<pinned>"})', M),
    "createCustomIpfsDeployment": Op(
        "member", 'createCustomIpfsDeployment(data: {siteId: "<site>", cid: "<pinned>"})', M
    ),
    "promoteDeployment": Op("member", 'promoteDeployment(where: {deploymentId: "<previous>"})', M),
    "rollbackSite": Op("member", 'rollbackSite(where: {siteId: "<site>"})', M),
    "cancelDeployment": Op("member", 'cancelDeployment(where: {deploymentId: "<pending>"})', M),
    "createPin": Op("member", 'createPin(data: {cid: "<cid>"})', M),
    "deletePin": Op("member", 'deletePin(where: {cid: "<pinned>"})', M),
    "collectGarbage": Op("operator", "collectGarbage(dryRun: true)", M),
    "scrubBlocks": Op("operator", "scrubBlocks", M),
    "deploymentLogs": Op("viewer", 'deploymentLogs(deploymentId: "<deployment>")', S),
    "deploymentStatus": Op("viewer", 'deploymentStatus(deploymentId: "<deployment>")', S),
}

FIELDS: dict[str, str] = {
    # Fields that ask more than seeing the object that they are of. Who asks is a member of the project.
    "Project.auditLog": "admin",
    "Project.auditVerification": "admin",
    "Project.invitations": "admin",
    "ServiceAccount.tokens": "admin",
    "Organization.members": "viewer",
    "Organization.auditLog": "admin",
    "Organization.auditVerification": "admin",
    "Organization.invitations": "admin",
}

CONTENT = "/v1/projects/<project>/content"
TEAM = "/organizations/<organization>"
CAR = "application/vnd.ipld.car"
JSON = "application/json"
_PRIVATE = (
    b'--b\r\nContent-Disposition: form-data; name="hash"\r\n\r\n'
    b"sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=\r\n"
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="f.txt"\r\n\r\nhello\r\n--b--\r\n'
)

ROUTES: dict[str, Rest] = {
    "GET /auth/link": Rest("anyone", _get("/auth/link?token=x")),
    "POST /auth/cli/start": Rest("anyone", _send("POST", "/auth/cli/start", lambda _: b"{}", JSON)),
    "POST /auth/logout": Rest("anyone", _send("POST", "/auth/logout", lambda _: b"", JSON)),
    "GET /auth/me": Rest("signed in", _get("/auth/me")),
    "GET /.well-known/jwks.json": Rest("anyone", _get("/.well-known/jwks.json")),
    "GET /auth/methods": Rest("anyone", _get("/auth/methods")),
    "GET /account": Rest("person", _get("/account")),
    "PATCH /account": Rest("person", _send("PATCH", "/account", lambda _: b"{}", JSON)),
    "DELETE /account": Rest("person", _send("DELETE", "/account", lambda _: b'{"confirm": "x"}', JSON)),
    "GET /account/export": Rest("person", _get("/account/export")),
    "POST /account/restore": Rest("person", _send("POST", "/account/restore", lambda _: b"", JSON)),
    "GET /account/methods": Rest("person", _get("/account/methods")),
    "DELETE /account/methods/{id}": Rest("person", _send("DELETE", "/account/methods/mth_x", lambda _: b"", JSON)),
    "POST /account/methods/{id}/set-primary": Rest(
        "person", _send("POST", "/account/methods/mth_x/set-primary", lambda _: b"", JSON)
    ),
    "POST /account/methods/link": Rest(
        "person", _send("POST", "/account/methods/link", lambda _: b'{"method": "email", "email": "a@b.example"}', JSON)
    ),
    "GET /account/totp": Rest("person", _get("/account/totp")),
    "POST /account/totp": Rest("person", _send("POST", "/account/totp", lambda _: b"", JSON)),
    "POST /account/totp/confirm": Rest(
        "person", _send("POST", "/account/totp/confirm", lambda _: b'{"code": "1"}', JSON)
    ),
    "DELETE /account/totp": Rest("person", _send("DELETE", "/account/totp", lambda _: b'{"code": "1"}', JSON)),
    "POST /account/recovery-codes": Rest("person", _send("POST", "/account/recovery-codes", lambda _: b"", JSON)),
    "GET /account/sessions": Rest("person", _get("/account/sessions")),
    "DELETE /account/sessions": Rest("person", _send("DELETE", "/account/sessions", lambda _: b"", JSON)),
    "DELETE /account/sessions/{id}": Rest("person", _send("DELETE", "/account/sessions/ses_x", lambda _: b"", JSON)),
    "POST /tokens": Rest("signed in", _send("POST", "/tokens", lambda _: b'{"name": "by rest"}', JSON), changes=True),
    "GET /tokens": Rest("signed in", _get("/tokens")),
    "GET /tokens/limits": Rest("signed in", _get("/tokens/limits")),
    "DELETE /tokens/{id}": Rest("signed in", _send("DELETE", "/tokens/<own_token>", lambda _: b"", JSON), changes=True),
    "POST /tokens/validate": Rest(
        "anyone", _send("POST", "/tokens/validate", lambda w: f'{{"token": "{w.own_secret}"}}'.encode(), JSON)
    ),
    "GET /auth/oauth/providers": Rest("anyone", _get("/auth/oauth/providers")),
    "OPTIONS /auth/exchange": Rest("anyone", _send("OPTIONS", "/auth/exchange", lambda _: b"", JSON)),
    "GET /v1/projects/{project}/audit": Rest("admin", _get("/v1/projects/<project>/audit")),
    "GET /v1/organizations/{organization}/audit": Rest("admin", _get("/v1/organizations/<organization>/audit")),
    "GET /account/audit": Rest("signed in", _get("/account/audit?format=csv")),
    "GET /organizations": Rest("signed in", _get("/organizations")),
    "POST /organizations": Rest(
        "signed in", _send("POST", "/organizations", lambda _: b'{"name": "club"}', JSON), changes=True
    ),
    "GET /organizations/{organization}": Rest("billing", _get(TEAM)),
    "PATCH /organizations/{organization}": Rest(
        "admin", _send("PATCH", TEAM, lambda _: b'{"name": "t"}', JSON), changes=True
    ),
    "DELETE /organizations/{organization}": Rest("person", _send("DELETE", TEAM, lambda _: b"", JSON), changes=True),
    "GET /organizations/{organization}/members": Rest("viewer", _get(f"{TEAM}/members")),
    "PATCH /organizations/{organization}/members/{user}": Rest(
        "admin", _send("PATCH", f"{TEAM}/members/<guest>", lambda _: b'{"role": "MEMBER"}', JSON), changes=True
    ),
    "DELETE /organizations/{organization}/members/{user}": Rest(
        "admin", _send("DELETE", f"{TEAM}/members/<guest>", lambda _: b"", JSON), changes=True
    ),
    "PUT /organizations/{organization}/members/{user}/access": Rest(
        "admin",
        _send("PUT", f"{TEAM}/members/<guest>/access", lambda _: b'{"accessAllProjects": false}', JSON),
        changes=True,
    ),
    "POST /organizations/{organization}/leave": Rest(
        "person", _send("POST", f"{TEAM}/leave", lambda _: b"", JSON), changes=True
    ),
    "POST /organizations/{organization}/transfer": Rest(
        "person",
        _send("POST", f"{TEAM}/transfer", lambda w: f'{{"userId": "{w.guest}"}}'.encode(), JSON),
        changes=True,
    ),
    "GET /organizations/{organization}/invitations": Rest("admin", _get(f"{TEAM}/invitations")),
    "POST /organizations/{organization}/invitations": Rest(
        "admin",
        _send("POST", f"{TEAM}/invitations", lambda _: b'{"email": "n@example.org", "role": "VIEWER"}', JSON),
        changes=True,
    ),
    "DELETE /organizations/invitations/{invitation}": Rest(
        "admin", _send("DELETE", "/organizations/invitations/<invitation>", lambda _: b"", JSON), changes=True
    ),
    "POST /organizations/invitations/{invitation}/resend": Rest(
        "admin", _send("POST", "/organizations/invitations/<invitation>/resend", lambda _: b"", JSON), changes=True
    ),
    "POST /organizations/invitations/{token}/accept": Rest(
        "person", _send("POST", "/organizations/invitations/unknown/accept", lambda _: b"", JSON), changes=True
    ),
    "GET /v1/projects/{project}/events": Rest("viewer", _first_event("/v1/projects/<project>/events?after=0")),
    "POST /v1/projects/{project}/content/missing": Rest(
        "member", _send("POST", f"{CONTENT}/missing", lambda w: f'{{"cids": ["{w.cid}"]}}'.encode(), JSON)
    ),
    "POST /v1/projects/{project}/content/car": Rest(
        "member", _send("POST", f"{CONTENT}/car", lambda w: w.car, CAR), changes=True
    ),
    "POST /v1/projects/{project}/content/import": Rest(
        "member", _send("POST", f"{CONTENT}/import", lambda w: w.car, CAR), changes=True
    ),
    "GET /v1/projects/{project}/content/{cid}.car": Rest("viewer", _get(f"{CONTENT}/<cid>.car")),
    "GET /v1/projects/{project}/content/{cid}/file/{path:path}": Rest(
        "viewer", _get(f"{CONTENT}/<cid>/file/index.html")
    ),
    "GET /v1/projects/{project}/content/{cid}/folder/{path:path}": Rest("viewer", _get(f"{CONTENT}/<cid>/folder/")),
    "POST /v1/sites/{site}/archive": Rest(
        "member", _send("POST", "/v1/sites/<site>/archive", lambda _: b"an archive", "application/x-tar"), changes=True
    ),
    "GET /duplicity/{cid}": Rest("viewer", _get("/duplicity/<cid>")),
    "GET /folder/{folder}/duplicity/{name}": Rest("viewer", _get("/folder/f/duplicity/name")),
    "POST /store": Rest("member", _send("POST", "/store", lambda w: w.car, CAR), changes=True),
    "POST /upload": Rest(
        "member", _send("POST", "/upload", lambda w: f'{{"rootCid": "{w.cid}"}}'.encode(), JSON), changes=True
    ),
    "POST /upload/private": Rest(
        "member",
        _send("POST", "/upload/private", lambda _: _PRIVATE, "multipart/form-data; boundary=b"),
        changes=True,
    ),
    "DELETE /delete/{cid}": Rest("member", _send("DELETE", "/delete/<pinned>", lambda _: b"", JSON), changes=True),
    "GET /routing/v1/ipns/{name}": Rest("anyone", _get("/routing/v1/ipns/<ipns_name>")),
    "GET /v1/projects/{project}/ipns/{name}": Rest("viewer", _get("/v1/projects/<project>/ipns/<ipns>")),
    "PUT /v1/projects/{project}/ipns/{name}": Rest(
        "member",
        _send(
            "PUT",
            "/v1/projects/<project>/ipns/<foreign_name>",
            lambda w: base64.b64decode(w.foreign_record),
            "application/octet-stream",
        ),
        changes=True,
    ),
    "GET /pins": Rest("viewer", _get("/pins")),
    "POST /pins": Rest(
        "member", _send("POST", "/pins", lambda w: f'{{"cid": "{w.cid}"}}'.encode(), JSON), changes=True
    ),
    "GET /pins/{requestid}": Rest("viewer", _get("/pins/<pin_request>")),
    "POST /pins/{requestid}": Rest(
        "member",
        _send("POST", "/pins/<pin_request>", lambda w: f'{{"cid": "{w.cid}"}}'.encode(), JSON),
        changes=True,
    ),
    "DELETE /pins/{requestid}": Rest(
        "member", _send("DELETE", "/pins/<pin_request>", lambda _: b"", JSON), changes=True
    ),
}

PAGES = {
    "POST /auth/link",
    "POST /auth/cli/approve",
    "POST /auth/cli/deny",
    "POST /auth/cli/poll",
    "POST /auth/cli/exchange",
    "GET /auth/oauth/{provider}",
    "GET /auth/oauth/callback/{provider}",
    "GET /auth/oauth/continue",
    "GET /organizations/invitations/{token}",
    "POST /auth/exchange",
    "POST /auth/refresh",
    "POST /auth/token",
    "POST /auth/second-factor",
    "POST /account/methods/link/verify",
    *(f"POST /auth/{way}/{step}" for way in ("email", "sms") for step in ("request", "verify")),
    "POST /auth/wallet/challenge",
    "POST /auth/wallet/verify",
    "POST /auth/passkey/options",
    "POST /auth/passkey/verify",
}
"""Routes for people without credentials; what they allow is the secret in their form (tests/unit/auth)."""

UNCOVERED: list[str] = []
"""GraphQL operations, fields and REST routes without a line above. Stays empty."""
