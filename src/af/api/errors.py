"""What can go wrong with a request to the API. Numbers 60xx."""

from __future__ import annotations

from af.core.errors import Conflict, InvalidInput, Timeout, TooLarge


class MalformedRequest(InvalidInput):
    code = "malformed_request"
    number = 6001
    explain = (
        "The body is not a GraphQL request: a JSON object with `query` and perhaps `variables` and `operationName`, or "
        "the same as the field `operations` of multipart/form-data."
    )


class BatchesOff(InvalidInput):
    code = "batches_off"
    number = 6002
    explain = "One request carries one operation. Select several fields instead of sending an array of requests."


class QueryTooDeep(InvalidInput):
    code = "query_too_deep"
    number = 6003
    explain = "The selection is nested deeper than AF_GRAPHQL_DEPTH_MAX. Ask in several requests."


class QueryTooCostly(InvalidInput):
    code = "query_too_costly"
    number = 6004
    explain = "The request could return more than AF_GRAPHQL_COST_MAX allows. Ask for smaller pages (`first`)."


class QueryTooBroad(InvalidInput):
    code = "query_too_broad"
    number = 6005
    explain = "The request has more aliases, fields, fragments, directives or operations than one request may have."


class FragmentCycle(InvalidInput):
    code = "fragment_cycle"
    number = 6006
    explain = "A fragment contains itself, directly or through others."


class IntrospectionOff(InvalidInput):
    code = "introspection_off"
    number = 6007
    explain = "The schema is shown to signed-in users only; it is also in the repository, schema/schema.graphql."


class StreamNeeded(InvalidInput):
    code = "stream_needed"
    number = 6008
    explain = "A subscription is answered as an event stream only: send `Accept: text/event-stream`."


class BodyTooLarge(TooLarge):
    code = "graphql_body_too_large"
    number = 6009
    explain = "The body of a GraphQL request has at most 1 MiB. Content is uploaded on its own routes."


class TooSlow(Timeout):
    code = "query_too_slow"
    number = 6012
    explain = "The request took longer than the API allows. What it changed until then is complete or undone."


class SchemaOutOfDate(Conflict):
    code = "schema_out_of_date"
    number = 6013
    explain = "schema/schema.graphql differs from the code. Run `python -m af.server.generate` and commit."
