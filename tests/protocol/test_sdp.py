"""
SDP is read whole or refused by name, within its bounds, whatever it is.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from negotiating import NAMES, offer

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.parameters import Candidate, Fingerprint
from telerelay.protocol.session import ExtMap, Media, Rid, RtpMap, Session, Simulcast, SsrcGroup

HEAD = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n"


def refused(text: str) -> str:
    """The code that a text is refused with, or "" where it is not."""
    try:
        sdp.parse(text)
    except RemoteProtocolError as error:
        return error.code
    return ""


@pytest.mark.parametrize("name", NAMES)
def test_a_real_offer_survives_writing_and_reading(name: str) -> None:
    """
    What was read is written so that it reads the same again.
    """
    session = sdp.parse(offer(name))

    assert session == sdp.parse(sdp.serialise(session))


def test_what_browsers_write_is_understood() -> None:
    """
    A session-level fingerprint, upper-case UDP, component 2, .local and tcp candidates, directions in extmaps, paused
    simulcast streams and bundle-only sections are read for what they mean.
    """
    session = sdp.parse(offer("made_firefox_like"))
    audio, video = session.media

    assert [32, 32] == [len(media.fingerprints[0].value) for media in session.media]
    assert [("udp", 1), ("udp", 2), ("tcp", 1)] == [(c.protocol, c.component) for c in audio.candidates]
    assert "9b36eaac-bb2e-49bb-bb78-21c41c499900.local" == audio.candidates[0].address
    assert "sendonly" == {extmap.id: extmap.direction for extmap in video.extmaps}[8]
    assert (True, False) == (video.is_bundle_only, video.is_rejected)
    assert Simulcast(send=(("lo",), ("hi",))) == video.simulcast
    assert session.is_extmap_mixed


def test_lines_may_end_without_carriage_return() -> None:
    """
    RFC 8866, 5: parsers should take a lone line feed.
    """
    text = offer("chromium_audio_video")

    assert sdp.parse(text) == sdp.parse(text.replace("\r\n", "\n"))


TOKENS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=16)
PTS = st.integers(0, 127)
SSRCS = st.integers(1, 2**32 - 1)
PARAMETERS = st.dictionaries(TOKENS.filter(lambda key: key != "pt"), TOKENS | st.just(""), max_size=4).map(
    lambda pairs: tuple(pairs.items())
)


def unique(strategy: st.SearchStrategy, key, max_size: int = 4) -> st.SearchStrategy:
    return st.lists(strategy, unique_by=key, max_size=max_size).map(tuple)


def by_pt(pair: tuple) -> int:
    return -1 if pair[0] is None else pair[0]


CANDIDATES = st.builds(
    Candidate,
    TOKENS,
    st.integers(1, 256),
    st.sampled_from(["udp", "tcp"]),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["127.0.0.1", "fd00::1", "abc.local"]),
    st.integers(0, 65535),
    st.sampled_from(["host", "srflx", "relay"]),
)
FINGERPRINTS = st.binary(min_size=32, max_size=32).map(lambda value: Fingerprint("sha-256", value)) | st.binary(
    min_size=20, max_size=20
).map(lambda value: Fingerprint("sha-1", value))
STREAMS = st.lists(st.lists(TOKENS, min_size=1, max_size=2).map(tuple), max_size=4).map(tuple)
MEDIA = st.builds(
    Media,
    kind=st.sampled_from(["audio", "video"]),
    port=st.integers(0, 65535),
    protocol=st.just("UDP/TLS/RTP/SAVPF"),
    formats=unique(PTS.map(str), lambda pt: pt),
    address=st.sampled_from(["0.0.0.0", "127.0.0.1", "fd00::1"]),
    mid=TOKENS,
    direction=st.sampled_from(sdp.DIRECTIONS),
    ice_ufrag=st.just("") | st.text("abc+/09", min_size=4, max_size=32),
    ice_pwd=st.just("") | st.text("abc+/09", min_size=22, max_size=32),
    fingerprints=unique(FINGERPRINTS, lambda each: each),
    setup=st.sampled_from(["", "actpass", "active", "passive", "holdconn"]),
    is_rtcp_mux=st.booleans(),
    is_rtcp_rsize=st.booleans(),
    is_bundle_only=st.booleans(),
    has_crypto=st.booleans(),
    rtpmaps=unique(
        st.builds(RtpMap, PTS, TOKENS, st.integers(1, 10_000_000), st.integers(1, 24)), lambda each: each.pt
    ),
    fmtps=unique(st.tuples(PTS, PARAMETERS), by_pt).map(lambda each: tuple(sorted(each, key=by_pt))),
    feedback=unique(st.tuples(st.none() | PTS, TOKENS), lambda each: each).map(
        lambda each: tuple(sorted(each, key=by_pt))
    ),
    extmaps=unique(
        st.builds(ExtMap, st.integers(1, 255), TOKENS.map("urn:{}".format), st.sampled_from(sdp.DIRECTIONS)),
        lambda each: each.id,
    ),
    msid=st.none() | st.tuples(TOKENS, TOKENS | st.just("")),
    rids=unique(
        st.builds(Rid, TOKENS, st.sampled_from(["send", "recv"]), unique(PTS, lambda pt: pt), PARAMETERS),
        lambda each: each.id,
    ),
    simulcast=st.none() | st.builds(Simulcast, STREAMS, STREAMS).filter(lambda each: each.send or each.recv),
    ssrcs=unique(st.tuples(SSRCS, TOKENS), lambda each: each[0]),
    ssrc_groups=unique(
        st.builds(SsrcGroup, st.sampled_from(["FID", "SIM"]), st.lists(SSRCS, min_size=1, max_size=3).map(tuple)),
        lambda each: each,
    ),
    candidates=st.lists(CANDIDATES, max_size=3).map(tuple),
    is_end_of_candidates=st.booleans(),
)


def bundled(session: Session) -> Session:
    mids = tuple(media.mid for media in session.media)
    return Session(
        session.session_id, session.version, session.media, (mids,), session.is_ice_lite, session.is_extmap_mixed
    )


SESSIONS = st.builds(
    Session,
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**64 - 1),
    unique(MEDIA, lambda media: media.mid, 3),
    st.just(()),
    st.booleans(),
    st.booleans(),
)


@given(SESSIONS | SESSIONS.map(bundled))
@settings(max_examples=300, deadline=None)
def test_any_session_survives_writing_and_reading(session: Session) -> None:
    """
    parse(serialise(x)) == x.
    """
    assert session == sdp.parse(sdp.serialise(session))


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["v=0", "a=", "m=", "m=audio 9 RTP/SAVPF 0", "a=mid:x"])).map("\n".join)
)
@settings(max_examples=500, deadline=None)
def test_any_text_is_read_or_refused(text: str) -> None:
    """
    Nothing but RemoteProtocolError comes out of the parser.
    """
    assert refused(text) in ("", "bad_sdp", "too_large")
    assert refused(HEAD + AUDIO + text) in ("", "bad_sdp", "too_large")


@st.composite
def mutated_offers(draw: st.DrawFn) -> str:
    """A real offer with lines cut, doubled, swapped or scribbled over."""
    lines = offer(draw(st.sampled_from(NAMES))).splitlines()
    for _ in range(draw(st.integers(1, 6))):
        index = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["cut", "double", "swap", "scribble", "number"])):
            case "cut":
                del lines[index]
            case "double":
                lines.insert(draw(st.integers(0, len(lines))), lines[index])
            case "swap":
                other = draw(st.integers(0, len(lines) - 1))
                lines[index], lines[other] = lines[other], lines[index]
            case "scribble":
                place = draw(st.integers(0, len(lines[index])))
                lines[index] = lines[index][:place] + draw(st.text(max_size=4)) + lines[index][place + 1 :]
            case "number":
                number = draw(
                    st.sampled_from(["-1", "256", "65536", "4294967296", "0", "99999999999999999999999", "١"])
                )
                lines[index] = lines[index][:2] + number + lines[index][3:]
    return "\r\n".join(lines)


@given(mutated_offers())
@settings(max_examples=500, deadline=None)
def test_a_spoilt_offer_is_read_or_refused(text: str) -> None:
    """
    What is near to a real offer is where the branches are: no other exception, and what is read can be written.
    """
    code = refused(text)

    assert code in ("", "bad_sdp", "too_large")
    if not code:
        session = sdp.parse(text)
        assert session == sdp.parse(sdp.serialise(session))


def lines_of_bytes(size: int) -> str:
    """A session of exactly that many bytes."""
    text = HEAD + AUDIO
    return text + "a=x:" + "y" * (size - len(text) - 6) + "\r\n"


def sections(count: int) -> str:
    return "".join(f"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:{index}\r\n" for index in range(count))


@pytest.mark.parametrize(
    ("inside", "outside", "code"),
    [
        (lines_of_bytes(65536), lines_of_bytes(65537), "too_large"),
        (HEAD + "a=x\r\n" * 1996, HEAD + "a=x\r\n" * 1997, "bad_sdp"),
        (HEAD + sections(32), HEAD + sections(33), "bad_sdp"),
        *(
            (HEAD + AUDIO + "".join(lines[:-1]), HEAD + AUDIO + "".join(lines), "bad_sdp")
            for lines in (
                [f"a=extmap:{index} urn:x\r\n" for index in range(1, 66)],
                [f"a=ssrc:{index} cname:x\r\n" for index in range(1, 66)],
                [f"a=rid:{index} send\r\n" for index in range(17)],
                [f"a=fingerprint:sha-1 {':'.join([f'{index:02X}'] * 20)}\r\n" for index in range(9)],
            )
        ),
    ],
)
def test_a_limit_holds_to_the_unit(inside: str, outside: str, code: str) -> None:
    """
    The largest allowed is read, one more is refused (A41).
    """
    assert "" == refused(inside)
    assert code == refused(outside)


def of_session(line: str, count: int, each: int) -> str:
    """So many lines, `each` of them in a section; {i} counts within the section, {n} through all."""
    text, n = HEAD, 0
    while n < count:
        text += "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
        for i in range(min(each, count - n)):
            text += line.format(i=i, n=n + 1) + "\r\n"
            n += 1
    return text


@pytest.mark.parametrize(
    ("line", "most", "each"),
    [
        ("a=rtpmap:{i} x/90000", 344, 32),
        ("a=extmap:1{i} urn:x", 512, 17),
        ("a=ssrc:{n} cname:x", 640, 32),
        ("a=ssrc-group:FID {n} 1", 160, 16),
        ("a=rid:{i} send", 128, 8),
        ("a=rtcp-fb:{i} x{n}", 640, 32),
        ("a=fmtp:{i} a={n};b=2;c=3;d=4;e=5;f=6;g=7;h=8", 512, 32),
    ],
)
def test_a_limit_of_a_session_holds_to_the_unit(line: str, most: int, each: int) -> None:
    """
    Spread over sections that are each within their own limit.
    """
    assert "" == refused(of_session(line, most, each))
    assert "bad_sdp" == refused(of_session(line, most + 1, each))


def test_only_so_many_candidates_are_kept() -> None:
    """
    Of a thousand candidates 32 are kept; they are not an error, for the relay sends to none of them (A22).
    """
    lines = "".join(f"a=candidate:1 1 udp 1 10.0.0.1 {index} typ host\r\n" for index in range(1000))

    assert 32 == len(sdp.parse(HEAD + AUDIO + lines).media[0].candidates)


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:128 x/1",
        "a=rtpmap:-1 x/1",
        "a=rtpmap:+1 x/1",
        "a=rtpmap:1_0 x/1",
        "a=rtpmap:1 x",
        "a=rtpmap:1 x/0",
        "a=rtpmap:1 x/90000/0",
        "a=rtpmap:1 x/90000/1/1",
        "a=extmap:0 urn:x",
        "a=extmap:256 urn:x",
        "a=extmap:4352 urn:x",
        "a=extmap:1/both urn:x",
        "a=extmap:1",
        "a=ssrc:0 cname:x",
        "a=ssrc:4294967296 cname:x",
        "a=ssrc-group:FID",
        "a=ssrc-group:FID 4294967296",
        "a=candidate:1 0 udp 1 1.2.3.4 1 typ host",
        "a=candidate:1 1 udp 4294967296 1.2.3.4 1 typ host",
        "a=candidate:1 1 udp 1 1.2.3.4 65536 typ host",
        "a=candidate:1 1 udp 1 1.2.3.4",
        "a=fingerprint:sha-256 AA",
        "a=fingerprint:sha-256 " + "GG:" * 31 + "GG",
        "a=fingerprint:sha-256",
        "a=ice-ufrag:abc",
        "a=ice-ufrag:" + "a" * 257,
        "a=ice-ufrag:ab cd",
        "a=ice-pwd:" + "a" * 21,
        "a=setup:both",
        "a=mid:",
        "a=mid:" + "a" * 33,
        "a=rid:q",
        "a=rid:q both",
        "a=rid:" + "q" * 17 + " send",
        "a=rid:q send pt=128",
        "a=simulcast:q;h",
        "a=simulcast:send q send h",
        "a=simulcast:send ;",
        "a=fmtp:128 a=b",
        "a=rtcp-fb:128 nack",
        "a=rtcp-fb:1",
        "a=msid:a b c",
        "m=audio 65536 UDP/TLS/RTP/SAVPF 0",
        "m=audio 9/2 UDP/TLS/RTP/SAVPF 0",
        "m=audio 9 UDP/TLS/RTP/SAVPF 128",
        "m=audio 9 UDP/TLS/RTP/SAVPF 1 1",
        "m=audio 9",
        "o=- 1 3 IN IP4 0.0.0.0",
        "o=- x 2 IN IP4 0.0.0.0",
        "v=1",
        "X=1",
        "a",
        "",
    ],
)
def test_a_value_out_of_its_range_is_refused(line: str) -> None:
    """
    Integers are ASCII digits within their range, words have their alphabets (A42).
    """
    assert "" == refused(HEAD + AUDIO + "a=rtcp-mux\r\n")
    assert "bad_sdp" == refused(HEAD + AUDIO + line + "\r\na=rtcp-mux\r\n")


@pytest.mark.parametrize(
    "text", ["", "\r\n", HEAD.replace("v=0\r\n", ""), "v=0\r\n", HEAD + "a=x:\x00\r\n", HEAD + "a=x:\ud800"]
)
def test_what_is_no_session_is_refused(text: str) -> None:
    """
    Without version or origin, or with characters that no line may hold.
    """
    assert "bad_sdp" == refused(text)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("a=mid:0", "a=mid:1"),
        ("a=setup:active", "a=setup:passive"),
        ("a=sendonly", "a=recvonly"),
        ("a=ice-ufrag:abcd", "a=ice-ufrag:efgh"),
        ("a=rtpmap:111 opus/48000/2", "a=rtpmap:111 VP8/90000"),
        ("a=fmtp:111 a=1", "a=fmtp:111 a=2"),
        ("a=ssrc:1 cname:a", "a=ssrc:1 cname:b"),
    ],
)
def test_the_same_again_is_harmless_and_another_value_is_refused(first: str, second: str) -> None:
    """
    A section says each thing once (A43).
    """
    start = HEAD + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"

    assert "" == refused(f"{start}{first}\r\n{first}\r\n")
    assert "bad_sdp" == refused(f"{start}{first}\r\n{second}\r\n")


def test_an_error_names_the_line_and_not_its_text() -> None:
    """
    SDP holds addresses and keys: a message may show neither (A61).
    """
    with pytest.raises(RemoteProtocolError, match="line 7") as caught:
        sdp.parse(HEAD + AUDIO + "a=ice-pwd:hunter2\r\n")

    assert "hunter2" not in str(caught.value)
