"""The REST edge: ``POST /v1/sites/{site}/archive``. Everything else about sites is GraphQL."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from af.core import web
from af.core.clock import iso
from af.core.context import Context
from af.core.errors import InvalidInput
from af.sites import addresses, service
from af.sites.errors import ArchiveTooLarge, InvalidUpload
from af.sites.models import Deployment, Site
from af.sites.multipart import FormReceiver
from af.sites.service import Upload

_FORM = "multipart/form-data"
_FORM_OVERHEAD_BYTES = 1 << 20
_FLAGS = {"": True, "true": True, "1": True, "false": False, "0": False}


async def submit_archive(request: Request) -> Response:
    """202 with ``{"deployment": {…}}``: a tar, tar.gz or zip as the body, or as a form (`af.sites.multipart`).

    Query: ``production`` (default true), ``message``. Follow the deployment by GraphQL or by the project's events.
    """
    ctx = web.context(request)
    production = _flag(request, "production")
    limit_bytes = ctx.settings.archive_bytes_max + _FORM_OVERHEAD_BYTES
    _refuse_early(request, limit_bytes)

    async def fill(upload: Upload) -> None:
        try:
            await _receive(request, upload, ctx.settings.files_max)
        except ClientDisconnect as error:
            raise InvalidUpload("The upload was cut short.") from error

    deployment = await service.submit_archive(
        ctx,
        request.path_params["site"],
        fill,
        production=production,
        message=request.query_params.get("message", ""),
    )
    site = await service.get(ctx, deployment.site_id)
    return web.json_response({"deployment": deployment_json(ctx, site, deployment)}, 202)


async def _receive(request: Request, upload: Upload, files_max: int) -> None:
    content_type = request.headers.get("content-type", "")
    if content_type.lower().startswith("application/x-www-form-urlencoded"):
        hint = "With curl: --data-binary @site.tar -H 'Content-Type: application/x-tar'"
        raise InvalidUpload("The body is an encoded form.", hint=hint)
    form = FormReceiver(upload, content_type, files_max=files_max) if content_type.lower().startswith(_FORM) else None
    async for part in request.stream():
        if form is not None:
            form.feed(part)
        else:
            upload.write(part)
    if form is not None:
        form.finish()


def deployment_json(ctx: Context, site: Site, deployment: Deployment) -> dict[str, object]:
    """A deployment as the REST API shows it; the names are GraphQL's."""
    failed = deployment.error_code
    return {
        "id": deployment.id,
        "siteId": deployment.site_id,
        "status": deployment.status.value,
        "cid": deployment.cid,
        "url": addresses.deployment_url(ctx, site, deployment),
        "production": deployment.production,
        "files": deployment.files,
        "bytes": deployment.bytes,
        "message": deployment.message,
        "error": {"code": failed, "message": deployment.error_message} if failed else None,
        "createdAt": web_time(deployment),
    }


def web_time(deployment: Deployment) -> str:
    return iso(deployment.created_at)


def _flag(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "").lower()
    if text not in _FLAGS:
        raise InvalidInput(f"{name} must be true or false.", field=name)
    return _FLAGS[text]


def _refuse_early(request: Request, limit_bytes: int) -> None:
    """Answer before the body is sent, when its length is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise ArchiveTooLarge(f"The upload is larger than {limit_bytes - _FORM_OVERHEAD_BYTES:,} bytes.")


routes = [Route("/v1/sites/{site}/archive", submit_archive, methods=["POST"])]
