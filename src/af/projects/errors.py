"""What can go wrong with projects and members. Numbers 21xx."""

from __future__ import annotations

from af.core.errors import Conflict, Forbidden, InvalidInput, NotFound


class ProjectNotFound(NotFound):
    code = "project_not_found"
    number = 2101
    explain = "No project with this id or slug exists, or you are not a member of it. `af projects list` shows yours."


class RoleTooLow(Forbidden):
    code = "role_too_low"
    number = 2102
    explain = "Your role in the project does not allow this. An admin or owner of it can, or can raise your role."


class InvalidProjectName(InvalidInput):
    code = "invalid_project_name"
    number = 2103
    explain = "A project's name has 1 to 100 characters on one line."


class ProjectSlugTaken(Conflict):
    code = "project_slug_taken"
    number = 2104
    explain = "A hundred projects have this name already. Choose another."


class NoProjectSelected(InvalidInput):
    code = "no_project_selected"
    number = 2105
    explain = (
        "The request does not say for which project it is, and you have several. Send the X-Project-Id header "
        "(AF_PROJECT_ID), or use a token that is limited to a project."
    )


class LastOwner(Conflict):
    code = "last_owner"
    number = 2106
    explain = "A project always has an owner. Make somebody else an owner first, or delete the project."


class AlreadyMember(Conflict):
    code = "already_member"
    number = 2107
    explain = "The user is a member of the project already. Change the role instead."


class MemberNotFound(NotFound):
    code = "member_not_found"
    number = 2108
    explain = "The user is not a member of the project. `af members list` shows who is."


class TooManyMembers(Conflict):
    code = "too_many_members"
    number = 2109
    explain = "A project has at most 1,000 members."


class InvalidAvatar(InvalidInput):
    code = "invalid_avatar"
    number = 2110
    explain = "An avatar is an https address or an ipfs CID address, of at most 2,000 characters."


class TooManyProjects(Conflict):
    code = "too_many_projects"
    number = 2111
    explain = "A user is a member of at most 1,000 projects that they made."
