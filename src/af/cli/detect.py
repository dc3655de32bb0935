"""What ``af deploy`` without a folder means: an output folder that was built already, or static files right here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from af.cli.config import ProjectFile
from alternatefutures.errors import BuildNeeded, FolderError

BUILT = (
    "dist",
    "build",
    "out",
    "_site",
    "www",
    "site",
    ".output/public",
    ".vitepress/dist",
    "docs/.vitepress/dist",
    ".vuepress/dist",
    "docs/.vuepress/dist",
    "build/client",  # React Router
    "dist/spa",  # Quasar
    "build/web",  # Flutter
    "web-build",  # Expo
    "book",  # mdBook
    "build/html",  # Sphinx
    "_build/html",
    "docs/_build/html",
    "storybook-static",
)
"""Where the common builders put their result, most common first. ``public`` is a source folder in most of them."""
_PUBLIC_IS_OUTPUT = (
    "hugo.toml",
    "hugo.yaml",
    "hugo.yml",
    "hugo.json",
    "config.toml",
    "gatsby-config.js",
    "gatsby-config.ts",
)
_LOCK_COMMANDS = {
    "pnpm-lock.yaml": "pnpm run build",
    "yarn.lock": "yarn build",
    "bun.lock": "bun run build",
    "bun.lockb": "bun run build",
}


@dataclass(frozen=True, slots=True)
class Detected:
    """``folder`` to publish and how it was found, in words."""

    folder: Path
    what: str


def detect(folder: Path, settings: ProjectFile) -> Detected:
    """:raises BuildNeeded: there are sources with a build script and no result of it.
    :raises FolderError: nothing here looks like a site, or the configured output is absent."""
    if settings.output:
        output = folder / settings.output
        if not output.is_dir():
            raise FolderError(
                f"{settings.source} names the output folder {settings.output!r}, which does not exist.",
                hint=f"Build the site ({_build_command(folder)}), then run `af deploy` again.",
            )
        return Detected(output, f"{settings.output}/ (from {settings.source})")
    for name in BUILT + (("public",) if _public_is_output(folder) else ()):
        if (folder / name / "index.html").is_file():
            return Detected(folder / name, f"built site in {name}/")
    angular = sorted(folder.glob("dist/*/browser/index.html"))
    if angular:
        return Detected(angular[0].parent, f"built site in {angular[0].parent.relative_to(folder)}/")
    if _has_build_script(folder):
        raise BuildNeeded(
            "This folder holds sources with a build script, and no built output was found.",
            cause=f"looked for an index.html in {', '.join(BUILT[:4])} …",
            hint=f"Run `{_build_command(folder)}`, then `af deploy` again (or `af deploy FOLDER`).",
        )
    if folder.resolve() in (Path("/"), Path.home().resolve()):
        raise FolderError("This is your home or the root folder.", hint="Name the folder: `af deploy FOLDER`.")
    if (folder / "index.html").is_file() or next(folder.glob("*.html"), None) is not None:
        return Detected(folder, "static files")
    raise FolderError(
        "Nothing here looks like a site: no index.html and no built output.",
        hint="Name the folder to publish: `af deploy FOLDER`.",
    )


def _public_is_output(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _PUBLIC_IS_OUTPUT)


def _has_build_script(folder: Path) -> bool:
    try:
        package = json.loads((folder / "package.json").read_text("utf-8"))
    except (OSError, ValueError):
        return _public_is_output(folder)
    scripts = package.get("scripts") if isinstance(package, dict) else None
    return isinstance(scripts, dict) and "build" in scripts


def _build_command(folder: Path) -> str:
    if (folder / "package.json").is_file():
        return next((run for lock, run in _LOCK_COMMANDS.items() if (folder / lock).is_file()), "npm run build")
    return "hugo" if _public_is_output(folder) else "your build command"
