"""``_redirects``: parse once at deploy, match at every request.

The union of https://specs.ipfs.tech/http-gateways/web-redirects-file/ and Netlify's file
(https://docs.netlify.com/manage/routing/redirects/redirect-options/). One rule per line::

    from  [name=value …]  to  [status][!]

- ``from`` is a path of the site; ``:name`` stands for one segment, ``*`` at the end for the rest (``:splat`` in
  ``to``). A trailing slash makes no difference.
- ``name=value`` asks for a query parameter; ``name=:capture`` keeps its value for ``to``.
- ``to`` is a path of the site or, for 3xx, an absolute URL. The request's other query parameters are carried along.
- Statuses: 301 (default) 302 303 307 308 redirect; 200 serves ``to`` in place; 404 410 451 serve it with that status.
- Rules are tried in file order, only for paths at which the site has no file; ``!`` (Netlify) applies a rule anyway.

Conditions on the visitor (Country, Language, Role, Cookie) and proxying to another origin are rejected.
"""

from af.protocols.redirects.matching import Match, Matcher
from af.protocols.redirects.model import REDIRECTS, REWRITES, ParsedRedirects, Rule, from_json, to_json
from af.protocols.redirects.parsing import EXACT_RULES_MAX, PATTERN_RULES_MAX, QUERY_CONDITIONS_MAX, parse
from af.protocols.sitefiles import Rejected

__all__ = [
    "EXACT_RULES_MAX",
    "PATTERN_RULES_MAX",
    "QUERY_CONDITIONS_MAX",
    "REDIRECTS",
    "REWRITES",
    "Match",
    "Matcher",
    "ParsedRedirects",
    "Rejected",
    "Rule",
    "from_json",
    "parse",
    "to_json",
]
