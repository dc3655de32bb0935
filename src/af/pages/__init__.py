"""The pages that people see: signing in, approving a device, and everything about their own account and teams.

Rendered here from templates, with one stylesheet; scripts only where the browser itself must act (wallets, passkeys,
copying), so every other page works without JavaScript. An edge like `api`: it parses, calls services of `auth` and
`projects`, renders. It decides nothing, has no SQL, and knows no site or file.

Its addresses are part of the platform's own host names only (`is_page`), where content of users is never served. The
routes are in `af.pages.routes`.
"""

from af.pages.paths import is_page

__all__ = ["is_page"]
