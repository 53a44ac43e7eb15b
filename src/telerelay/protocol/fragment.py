"""
The body of a PATCH that restarts ICE: an SDP fragment (application/trickle-ice-sdpfrag, RFC 8840, 9; RFC 9725, 4.3).

Pure and bounded. What the relay has no use for, candidates above all, is passed over unread (A22).
"""

import re
from dataclasses import dataclass
from typing import NoReturn

from telerelay.errors import RemoteProtocolError
from telerelay.protocol.parameters import Candidate, IceParameters

MAX_LINES = 2000

_UFRAG = re.compile(r"[A-Za-z0-9+/=_\-.]{4,256}", re.ASCII)
_PWD = re.compile(r"[A-Za-z0-9+/=_\-.]{22,256}", re.ASCII)
_KIND = re.compile(r"(audio|video|application) ")
_MID = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class IceFragment:
    """
    Credentials, and candidates where they are the relay's. `tagged` is kind and mid of the section that speaks for the
    bundle; candidates need one to stand in.
    """

    ice: IceParameters
    tagged: tuple[str, str] | None = None
    candidates: tuple[Candidate, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "IceFragment":
        """
        The client's. Its credentials stand above all sections or in the bundle's: everywhere the same, for there is one
        transport. Raises RemoteProtocolError bad_sdp.
        """
        lines = text.replace("\r\n", "\n").split("\n")
        if len(lines) > MAX_LINES:
            _bad(f"has more than {MAX_LINES} lines")
        kind, tagged = "", None
        found: dict[str, set[str]] = {"ice-ufrag": set(), "ice-pwd": set()}
        for line in lines:
            if line.startswith("m="):
                match = _KIND.match(line[2:])
                kind = match[1] if match else ""
            name, _, value = line.removeprefix("a=").partition(":")
            if line.startswith("a=") and name in found:
                found[name].add(value.strip())
            elif line.startswith("a=mid:") and kind and tagged is None and _MID.fullmatch(value.strip()):
                tagged = (kind, value.strip())
        if any(len(values) != 1 for values in found.values()):
            _bad("must hold one ice-ufrag and one ice-pwd")
        ufrag, pwd = found["ice-ufrag"].pop(), found["ice-pwd"].pop()
        if not _UFRAG.fullmatch(ufrag) or not _PWD.fullmatch(pwd):
            _bad("has ICE credentials that are none")
        return cls(IceParameters(ufrag, pwd), tagged)

    def to_text(self) -> str:
        """The relay's."""
        credentials = [f"a=ice-ufrag:{self.ice.ufrag}", f"a=ice-pwd:{self.ice.pwd}"]
        lines = ["a=ice-lite"]
        if self.tagged is None:
            lines += credentials
        else:
            kind, mid = self.tagged
            lines += [f"a=group:BUNDLE {mid}", f"m={kind} 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}", *credentials]
            lines += [f"a=candidate:{candidate.to_sdp()}" for candidate in self.candidates]
            lines.append("a=end-of-candidates")
        return "\r\n".join(lines) + "\r\n"


def _bad(what: str) -> NoReturn:
    raise RemoteProtocolError("bad_sdp", f"the fragment {what}")
