"""What can go wrong with projects and members. Numbers 21xx."""

from __future__ import annotations

from af.core.errors import Conflict, Forbidden, InvalidInput, NotFound, RateLimited


class ProjectNotFound(NotFound):
    code = "project_not_found"
    number = 2101
    explain = "No project with this id or slug exists, or you are not a member of it. `af projects list` shows yours."


class RoleTooLow(Forbidden):
    code = "role_too_low"
    number = 2102
    explain = (
        "Your role in the project or organization does not allow this. An admin or owner of it can, or can raise your "
        "role."
    )


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
    explain = (
        "A project and an organization always have an owner. Make somebody else an owner first, or delete it. A "
        "personal organization keeps its person."
    )


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


class OrganizationNotFound(NotFound):
    code = "organization_not_found"
    number = 2112
    explain = (
        "No organization with this id or slug exists, or you are not a member of it, or your token is limited to a "
        "project. `af organizations list` shows yours."
    )


class InvalidOrganizationName(InvalidInput):
    code = "invalid_organization_name"
    number = 2113
    explain = "An organization's name has 1 to 100 characters on one line."


class OrganizationSlugTaken(Conflict):
    code = "organization_slug_taken"
    number = 2114
    explain = "A hundred organizations have this name already. Choose another."


class TooManyOrganizations(Conflict):
    code = "too_many_organizations"
    number = 2115
    explain = "A user owns at most 50 organizations."


class OrganizationNotEmpty(Conflict):
    code = "organization_not_empty"
    number = 2116
    explain = (
        "An organization can be deleted when it has no projects. Delete them, or move them to another organization."
    )


class PersonalOrganization(Conflict):
    code = "personal_organization"
    number = 2117
    explain = (
        "Everybody has a personal organization. It cannot be deleted, left or handed over; its projects can be moved."
    )


class InvitationOver(NotFound):
    code = "invitation_over"
    number = 2118
    explain = (
        "The invitation's link is unknown, or the invitation was accepted, revoked or sent again, or its seven days "
        "are over. Ask whoever invited you for another."
    )


class InvitedAddressDiffers(Forbidden):
    code = "invited_address_differs"
    number = 2119
    explain = (
        "An invitation is for one e-mail address, and only an account that has proven this address can accept it. Sign "
        "in with that address, or ask for an invitation to another."
    )


class TooManyInvitations(RateLimited):
    code = "too_many_invitations"
    number = 2120
    explain = (
        "An organization has at most 100 invitations that wait for an answer. Revoke some, or wait until they end."
    )


class AlreadyInvited(Conflict):
    code = "already_invited"
    number = 2121
    explain = "The address has an invitation already. Send it again, or revoke it first to give another role."


class InvitationNotFound(NotFound):
    code = "invitation_not_found"
    number = 2122
    explain = "There is no such invitation that waits for an answer. `af members invitations` lists them."


class PeopleOnly(Forbidden):
    code = "people_only"
    number = 2123
    explain = "A service account has its place in one project. It has no organization and makes no projects."


class ServiceAccountNotFound(NotFound):
    code = "service_account_not_found"
    number = 2130
    explain = "The project has no service account with this id. `af service-accounts list` shows those that it has."
