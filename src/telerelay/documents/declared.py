"""
What somebody says of a document before a byte of it comes: size, hash, type, and what it is.

Pure. It comes as the metadata of tus (Upload-Metadata: words and values in base64), whose names are those that clients
use: `filename`, `filetype`; and ours: `sha256`, `label`, `kind`, `request`, `source`.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from telerelay.errors import RemoteProtocolError

MAX_NAME_CHARS = 255
MAX_METADATA_CHARS = 4096

_SHA256 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WORD = re.compile(r"[A-Za-z0-9_.:+/-]{1,64}", re.ASCII)
# RFC 9110, 8.3.1, without parameters: what is said of a charset or a codec helps nobody here.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,63}/[A-Za-z0-9!#$&^_.+-]{1,63}", re.ASCII)
# Of a file's name: what says to people's machines how to open it.
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,16}\Z", re.ASCII)
_KEYS = frozenset({"filename", "filetype", "sha256", "label", "kind", "request", "source"})
# Of tus-js-client and Uppy, which send them by themselves: the same again in other words.
_IGNORED = frozenset({"name", "type", "relativePath"})


@dataclass(frozen=True, slots=True)
class Declared:
    """
    `sha256` in hex; `label` is the sender's word for what it is; of a still, `request` is what it answers, `source`
    photo or frame. `metadata` is what was sent, as HEAD gives it back.
    """

    size_bytes: int
    sha256: str
    what: str = "document"
    media_type: str = "application/octet-stream"
    label: str = ""
    name: str = ""
    request: str = ""
    source: str = ""
    metadata: str = ""

    def to_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Declared.__slots__}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Declared":
        """Raises TypeError for what is none."""
        return cls(**value)


def declared(size_bytes: int, metadata: str) -> Declared:
    """
    What Upload-Length and Upload-Metadata say. Raises RemoteProtocolError bad_message, naming the field, never what is
    in it.
    """
    if size_bytes < 1:
        raise _bad("a document has at least one byte")
    values = _values(metadata)
    sha256 = values.get("sha256", "").lower()
    if _SHA256.fullmatch(sha256) is None:
        raise _bad("sha256 must be the document's SHA-256, 64 hexadecimal digits")
    media_type = values.get("filetype", "") or "application/octet-stream"
    if _MEDIA_TYPE.fullmatch(media_type.partition(";")[0].strip()) is None:
        raise _bad("filetype must be a media type")
    what = values.get("kind", "document")
    if what not in ("document", "still"):
        raise _bad("kind must be document or still")
    request, source = _word(values, "request"), values.get("source", "")
    if what == "still" and (not request or source not in ("photo", "frame")):
        raise _bad("a still has a request, and photo or frame as its source")
    if what == "document" and (request or source):
        raise _bad("only a still has a request or a source")
    return Declared(
        size_bytes=size_bytes,
        sha256=sha256,
        what=what,
        media_type=media_type.partition(";")[0].strip().lower(),
        label=_word(values, "label"),
        name=_name(values.get("filename", "")),
        request=request,
        source=source,
        metadata=metadata,
    )


def _values(metadata: str) -> dict[str, str]:
    if len(metadata) > MAX_METADATA_CHARS:
        raise _bad("Upload-Metadata is too long")
    values: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in metadata.split(","))):
        key, _, encoded = pair.partition(" ")
        if key in values:
            raise _bad("Upload-Metadata names something twice")
        if key in _IGNORED:
            continue
        if key not in _KEYS:
            raise _bad("Upload-Metadata holds a key that it may not have")
        try:
            values[key] = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
        except (binascii.Error, ValueError):
            raise _bad(f"{key} of Upload-Metadata must be UTF-8 in base64") from None
    return values


def _word(values: Mapping[str, str], key: str) -> str:
    value = values.get(key, "")
    if value and _WORD.fullmatch(value) is None:
        raise _bad(f"{key} must be a word of at most 64 letters, digits and a few signs")
    return value


def _name(name: str) -> str:
    """For people alone: no file of ours is ever called so. Without a path, and without what turns a line around."""
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(char for char in last if char.isprintable())
    if len(clean) > MAX_NAME_CHARS and (ending := _ENDING.search(clean)) is not None:
        return clean[: MAX_NAME_CHARS - len(ending[0])] + ending[0]
    return "" if clean in (".", "..") else clean[:MAX_NAME_CHARS]


def _bad(message: str) -> RemoteProtocolError:
    return RemoteProtocolError("bad_message", message)
