"""What can go wrong with sites and deployments. Numbers 40xx."""

from __future__ import annotations

from af.core.errors import Conflict, InvalidInput, NotFound, TooLarge, Unavailable


class SiteNotFound(NotFound):
    code = "site_not_found"
    number = 4001
    explain = (
        "No site with this id or slug exists, or you are not a member of its project. `af sites list` shows yours."
    )


class DeploymentNotFound(NotFound):
    code = "deployment_not_found"
    number = 4002
    explain = "No deployment with this id exists, or you are not a member of its project."


class InvalidSlug(InvalidInput):
    code = "invalid_slug"
    number = 4003
    explain = (
        "A slug is the site's host name: 1 to 40 lower-case letters, digits and hyphens, no hyphen at either end, "
        "no two in a row, and none of the names that the platform uses itself."
    )


class SlugTaken(Conflict):
    code = "slug_taken"
    number = 4004
    explain = "Slugs are unique on the whole platform, and another site has this one. Choose another."


class InvalidName(InvalidInput):
    code = "invalid_site_name"
    number = 4005
    explain = "A site's name has 1 to 100 visible characters, and at least one letter or digit to make a slug of."


class NotDeployable(Conflict):
    """Promote or roll back to something that is not ready, or cancel something that has ended."""

    code = "deployment_state"
    number = 4006
    explain = (
        "The deployment's status does not allow this: only ready ones can go live, only unfinished ones be canceled."
    )


class NothingToRollBackTo(Conflict):
    code = "nothing_to_roll_back_to"
    number = 4007
    explain = "The site has no other ready production deployment. Name one with its id, or deploy."


class ArchiveTooLarge(TooLarge):
    code = "upload_too_large"
    number = 4008
    explain = (
        "The uploaded archive exceeds AF_ARCHIVE_BYTES_MAX. Deploy with `af deploy`, which sends only what changed."
    )


class InvalidUpload(InvalidInput):
    code = "invalid_upload"
    number = 4009
    explain = (
        "An upload is a tar, tar.gz or zip as the request body or as the form field `file`, or several form fields "
        "`files` whose file names are paths inside the site."
    )


class UploadLost(Unavailable):
    code = "upload_lost"
    number = 4010
    explain = (
        "The uploaded archive is no longer on this machine, so the deployment cannot be finished. Upload it again."
    )


class TooManySites(Conflict):
    code = "too_many_sites"
    number = 4011
    explain = "The project has as many sites as a project may have. Delete one, or use another project."


class SiteBusy(Conflict):
    code = "too_many_uploads"
    number = 4012
    explain = "The site has too many archive deployments waiting. Wait for them to finish, or cancel some."


class DiskFull(Unavailable):
    code = "disk_full"
    number = 4013
    http_status = 507  # and not 503, which clients take for a reason to try again at once
    retryable = False
    explain = "The disk has less free space than AF_DISK_FREE_BYTES_MIN. Free some, or run `af storage gc`."
