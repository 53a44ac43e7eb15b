"""SDP fragments that restart ICE over HTTP: total, bounded, and one transport's credentials alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerelay.errors import RemoteProtocolError
from telerelay.protocol.fragment import MAX_LINES, IceFragment
from telerelay.protocol.parameters import Candidate, IceParameters

PWD = "p" * 22
# As RFC 9725, 4.3.3, figure 7 has it, with two sections.
REAL = (
    "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"
    f"a=ice-ufrag:ysXw\r\na=ice-pwd:{PWD}\r\na=candidate:1 1 udp 2 192.0.2.1 5 typ host\r\n"
    f"m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=ice-ufrag:ysXw\r\na=ice-pwd:{PWD}\r\n"
)


def test_the_first_sections_credentials_are_read() -> None:
    """
    And its kind and mid, where the relay's candidates will stand.
    """
    assert IceFragment(IceParameters("ysXw", PWD), ("audio", "0")) == IceFragment.parse(REAL)


def test_credentials_above_all_sections_are_enough() -> None:
    """
    Lines may end by LF alone; without a section the answer has none, and no candidates.
    """
    fragment = IceFragment.parse(f"a=ice-ufrag:abcd\na=ice-pwd:{PWD}\n")

    assert IceFragment(IceParameters("abcd", PWD)) == fragment
    assert f"a=ice-lite\r\na=ice-ufrag:abcd\r\na=ice-pwd:{PWD}\r\n" == fragment.to_text()


def test_the_relays_fragment_reads_back() -> None:
    """
    Credentials and candidates in the client's own section.
    """
    candidate = Candidate("1", 1, "udp", 7, "192.0.2.1", 40000, "host")
    text = IceFragment(IceParameters("0123", PWD), ("video", "v1"), (candidate,)).to_text()

    assert IceFragment(IceParameters("0123", PWD), ("video", "v1")) == IceFragment.parse(text)
    assert "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:v1\r\n" in text
    assert "a=candidate:1 1 udp 7 192.0.2.1 40000 typ host\r\na=end-of-candidates\r\n" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a=ice-ufrag:abcd\r\n",
        f"a=ice-pwd:{PWD}\r\n",
        f"a=ice-ufrag:abc\r\na=ice-pwd:{PWD}\r\n",
        f"a=ice-ufrag:{'a' * 257}\r\na=ice-pwd:{PWD}\r\n",
        f"a=ice-ufrag:abcd\r\na=ice-pwd:{PWD[1:]}\r\n",
        f"a=ice-ufrag:ab\x00cd\r\na=ice-pwd:{PWD}\r\n",
        REAL.replace("ysXw", "other", 1),
        REAL + "\r\n" * MAX_LINES,
    ],
)
def test_what_is_not_one_transports_credentials_is_refused(text: str) -> None:
    """
    Missing, too short, too long, not ICE characters, differing between sections, or a flood of lines.
    """
    with pytest.raises(RemoteProtocolError) as error:
        IceFragment.parse(text)

    assert "bad_sdp" == error.value.code


@given(st.text() | st.lists(st.sampled_from([*REAL.split("\r\n"), "a=mid:\r", "m=x", "a=ice-pwd"])).map("\r\n".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """
    Nothing else comes out, and what is read can be written.
    """
    try:
        fragment = IceFragment.parse(text)
    except RemoteProtocolError:
        return

    assert fragment == IceFragment.parse(fragment.to_text())
