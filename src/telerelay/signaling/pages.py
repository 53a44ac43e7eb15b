"""
The consult page and its files: a fixed table from the package, read once.

Nothing a client names is ever looked up in a file system.
"""

from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from aiohttp import web

PAGES = {
    "/": ("index.html", "text/html"),
    "/telerelay.js": ("telerelay.js", "text/javascript"),
    "/errors.js": ("errors.js", "text/javascript"),
    "/media.js": ("media.js", "text/javascript"),
    "/signaling.js": ("signaling.js", "text/javascript"),
    "/channel.js": ("channel.js", "text/javascript"),
    "/measuring.js": ("measuring.js", "text/javascript"),
    "/sending.js": ("sending.js", "text/javascript"),
    "/elements.js": ("elements.js", "text/javascript"),
    "/incoming.js": ("incoming.js", "text/javascript"),
    "/link.js": ("link.js", "text/javascript"),
    "/looking.js": ("looking.js", "text/javascript"),
    "/publishing.js": ("publishing.js", "text/javascript"),
    "/roster.js": ("roster.js", "text/javascript"),
    "/sources.js": ("sources.js", "text/javascript"),
    "/page.js": ("page.js", "text/javascript"),
    "/state.js": ("state.js", "text/javascript"),
    "/devices.js": ("devices.js", "text/javascript"),
    "/desk.js": ("desk.js", "text/javascript"),
    "/waiting.js": ("waiting.js", "text/javascript"),
    "/documents.js": ("documents.js", "text/javascript"),
    "/papers.js": ("papers.js", "text/javascript"),
    "/recording.js": ("recording.js", "text/javascript"),
    "/people.js": ("people.js", "text/javascript"),
    "/weak.js": ("weak.js", "text/javascript"),
    "/chat.js": ("chat.js", "text/javascript"),
    "/camera.js": ("camera.js", "text/javascript"),
    "/measurements.js": ("measurements.js", "text/javascript"),
    "/strip.js": ("strip.js", "text/javascript"),
    "/strings.js": ("strings.js", "text/javascript"),
    "/style.css": ("style.css", "text/css"),
    "/waiting.css": ("waiting.css", "text/css"),
    "/call.css": ("call.css", "text/css"),
    "/objects.css": ("objects.css", "text/css"),
    "/desk.html": ("desk.html", "text/html"),
    "/reception.js": ("reception.js", "text/javascript"),
    "/desksocket.js": ("desksocket.js", "text/javascript"),
    "/reception.css": ("reception.css", "text/css"),
    "/check.html": ("check.html", "text/html"),
    "/check.js": ("check.js", "text/javascript"),
    "/probing.js": ("probing.js", "text/javascript"),
    "/favicon.svg": ("favicon.svg", "image/svg+xml"),
}
"""Path under the mount point: file in the package, media type."""

HEADERS = {
    # No script but ours, and none inline: what somebody smuggles into a name stays text. Pictures and films of others
    # are what the host shows to who waits.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob: https:; "
        "media-src 'self' blob: https:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    # The address of a consult is nobody else's business.
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self)",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True, slots=True)
class Page:
    """One file, as it is sent."""

    body: bytes
    content_type: str
    etag: str


def load_pages() -> dict[str, Page]:
    """The table, by path. A file that the package lacks has no route."""
    folder = files("telerelay").joinpath("web")
    pages = {}
    for path, (name, content_type) in PAGES.items():
        file = folder.joinpath(name)
        if file.is_file():
            body = file.read_bytes()
            pages[path] = Page(body, content_type, sha256(body).hexdigest()[:32])
    return pages


def add_pages(app: web.Application) -> None:
    """Routes for GET and HEAD of every page."""
    for path, page in load_pages().items():
        app.router.add_get(path, _handler(page))


def _handler(page: Page):  # type: ignore[no-untyped-def]
    async def send(request: web.Request) -> web.Response:
        if any(tag.value in (page.etag, "*") for tag in request.if_none_match or ()):
            response = web.Response(status=304)
        else:
            response = web.Response(body=page.body, content_type=page.content_type, charset="utf-8")
        response.headers.update(HEADERS)
        response.etag = page.etag
        return response

    return send
