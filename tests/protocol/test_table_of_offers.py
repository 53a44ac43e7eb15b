"""
A hundred and more offers, each one change to a good one: taken or refused by name, and after a refusal everything is
as it was (threat catalogue A43).
"""

from __future__ import annotations

import re

import pytest
from negotiating import counter, local

from telerelay.errors import RemoteProtocolError
from telerelay.protocol import sdp
from telerelay.protocol.negotiation import CodecPolicy, PublishNegotiation, WhepNegotiation

HASH = ":".join(["AB"] * 32)
OTHER = ":".join(["CD"] * 32)
TRANSPORT = f"""a=ice-ufrag:abcd
a=ice-pwd:{"p" * 24}
a=fingerprint:sha-256 {HASH}
a=setup:actpass
a=rtcp-mux
"""
GOOD = f"""v=0
o=- 1 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
{TRANSPORT}a=mid:0
a=sendonly
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=rtpmap:111 opus/48000/2
a=ssrc:10 cname:c
m=video 9 UDP/TLS/RTP/SAVPF 96 97
c=IN IP4 0.0.0.0
{TRANSPORT}a=mid:1
a=sendonly
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtcp-fb:96 nack
a=ssrc-group:FID 20 21
a=ssrc:20 cname:c
a=ssrc:21 cname:c
"""
VIDEO = GOOD[GOOD.index("m=video") :]
NO_SSRC = "a=ssrc-group:FID 20 21\na=ssrc:20 cname:c\na=ssrc:21 cname:c\n"
TAKEN = "taken"
BAD, UNSUPPORTED, TOO_LARGE, NO_CODEC = "bad_sdp", "unsupported_sdp", "too_large", "no_common_codec"


def all_of(old: str, new: str) -> str:
    """Everywhere."""
    assert old in GOOD
    return GOOD.replace(old, new)


def first(old: str, new: str) -> str:
    """In the sound's section, or where it comes first."""
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def video(old: str, new: str) -> str:
    """In the picture's section."""
    assert old in VIDEO
    return GOOD.replace(VIDEO, VIDEO.replace(old, new, 1))


def also(*lines: str) -> str:
    """These lines more, in the picture's section."""
    return GOOD + "".join(f"{line}\n" for line in lines)


def above(*lines: str) -> str:
    """These lines more, above all sections."""
    return first("a=group", "".join(f"{line}\n" for line in lines) + "a=group")


def third(mid: str = "2", bundle: str = "0 1 2") -> str:
    """A second picture, with SSRCs of its own."""
    section = VIDEO.replace("a=mid:1", f"a=mid:{mid}").replace("20", "30").replace("21", "31")
    return all_of("BUNDLE 0 1", f"BUNDLE {bundle}") + section


def simulcast(lines: str, *, keeps_ssrcs: bool = False) -> str:
    text = GOOD if keeps_ssrcs else GOOD.replace(NO_SSRC, "")
    return text + lines.replace("; ", "\n") + "\n"


RIDS = "a=rid:q send; a=rid:h send; a=rid:f send"
ROWS: list[tuple[str, str, str]] = [
    ("the good one", GOOD, TAKEN),
    # ---- mid and BUNDLE
    ("a mid twice", all_of("a=mid:1", "a=mid:0"), BAD),
    ("a mid that changes within its section", also("a=mid:2"), BAD),
    ("the same mid line again", also("a=mid:1"), TAKEN),
    ("no mid", first("a=mid:0\n", ""), BAD),
    ("an empty mid", first("a=mid:0", "a=mid:"), BAD),
    ("a mid of 32 characters", all_of("a=mid:1", "a=mid:" + "m" * 32).replace("E 0 1", "E 0 " + "m" * 32), TAKEN),
    ("a mid of 33 characters", all_of("a=mid:1", "a=mid:" + "m" * 33).replace("E 0 1", "E 0 " + "m" * 33), BAD),
    ("a mid that is no token", all_of("a=mid:1", "a=mid:a(b").replace("E 0 1", "E 0 a(b"), BAD),
    ("a mid of another script", all_of("a=mid:1", "a=mid:é").replace("E 0 1", "E 0 é"), BAD),
    ("no BUNDLE", all_of("a=group:BUNDLE 0 1\n", ""), UNSUPPORTED),
    ("BUNDLE without one of them", all_of("BUNDLE 0 1", "BUNDLE 0"), UNSUPPORTED),
    ("an empty BUNDLE", all_of("BUNDLE 0 1", "BUNDLE"), UNSUPPORTED),
    ("BUNDLE with a mid twice", all_of("BUNDLE 0 1", "BUNDLE 0 1 1"), BAD),
    ("BUNDLE with a mid there is not", all_of("BUNDLE 0 1", "BUNDLE 0 1 2"), BAD),
    ("two BUNDLE groups", all_of("a=group:BUNDLE 0 1", "a=group:BUNDLE 0\na=group:BUNDLE 1"), UNSUPPORTED),
    ("a mid in two BUNDLE groups", above("a=group:BUNDLE 0"), BAD),
    ("a group of other semantics", above("a=group:LS 0 1"), TAKEN),
    ("BUNDLE in another order", all_of("BUNDLE 0 1", "BUNDLE 1 0"), TAKEN),
    ("BUNDLE inside a section", all_of("a=group:BUNDLE 0 1\n", "") + "a=group:BUNDLE 0 1\n", UNSUPPORTED),
    ("a bundle-only section", video("m=video 9", "m=video 0").replace("a=mid:1", "a=mid:1\na=bundle-only"), TAKEN),
    ("a rejected section in BUNDLE", video("m=video 9", "m=video 0"), TAKEN),
    ("every section rejected", all_of(" 9 UDP", " 0 UDP"), NO_CODEC),
    ("three sections", third(), TAKEN),
    ("three sections, two in BUNDLE", third(bundle="0 1"), UNSUPPORTED),
    # ---- one transport
    ("no rtcp-mux", all_of("a=rtcp-mux\n", ""), UNSUPPORTED),
    ("no rtcp-mux in one section", first("a=rtcp-mux\n", ""), UNSUPPORTED),
    ("rtcp-mux-only beside it", also("a=rtcp-mux-only"), TAKEN),
    ("no setup", all_of("a=setup:actpass\n", ""), BAD),
    ("setup active", all_of("setup:actpass", "setup:active"), TAKEN),
    ("setup passive", all_of("setup:actpass", "setup:passive"), TAKEN),
    ("setup holdconn", all_of("setup:actpass", "setup:holdconn"), UNSUPPORTED),
    ("a setup there is not", all_of("setup:actpass", "setup:both"), BAD),
    ("sections that differ in setup", first("setup:actpass", "setup:active"), BAD),
    ("setup twice in a section", also("a=setup:passive"), BAD),
    ("setup above all sections", above("a=setup:actpass").replace("a=setup:actpass\na=rtcp-mux", "a=rtcp-mux"), TAKEN),
    ("an ICE-lite peer", above("a=ice-lite"), UNSUPPORTED),
    ("RTP/AVP", all_of("UDP/TLS/RTP/SAVPF", "RTP/AVP"), UNSUPPORTED),
    ("RTP/AVPF", all_of("UDP/TLS/RTP/SAVPF", "RTP/AVPF"), UNSUPPORTED),
    ("RTP/SAVPF", all_of("UDP/TLS/RTP/SAVPF", "RTP/SAVPF"), TAKEN),
    ("UDP/TLS/RTP/SAVP", all_of("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"), TAKEN),
    ("TCP/DTLS/RTP/SAVPF", all_of("UDP/TLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVPF"), TAKEN),
    ("cleartext in one section", video("UDP/TLS/RTP/SAVPF", "RTP/AVP"), UNSUPPORTED),
    ("SDES beside DTLS", also("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xyz"), UNSUPPORTED),
    ("SDES above all sections", above("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:xyz"), UNSUPPORTED),
    # ---- ICE
    ("no ice-ufrag", all_of("a=ice-ufrag:abcd\n", ""), BAD),
    ("no ice-pwd", all_of(f"a=ice-pwd:{'p' * 24}\n", ""), BAD),
    ("an ice-ufrag of 3", all_of("ufrag:abcd", "ufrag:abc"), BAD),
    ("an ice-ufrag of 4", all_of("ufrag:abcd", "ufrag:abce"), TAKEN),
    ("an ice-ufrag of 256", all_of("ufrag:abcd", "ufrag:" + "u" * 256), TAKEN),
    ("an ice-ufrag of 257", all_of("ufrag:abcd", "ufrag:" + "u" * 257), BAD),
    ("an ice-pwd of 21", all_of("p" * 24, "p" * 21), BAD),
    ("an ice-pwd of 22", all_of("p" * 24, "p" * 22), TAKEN),
    ("an ice-pwd of 256", all_of("p" * 24, "p" * 256), TAKEN),
    ("an ice-pwd of 257", all_of("p" * 24, "p" * 257), BAD),
    ("an ice-ufrag with a colon", all_of("ufrag:abcd", "ufrag:ab:cd"), BAD),
    ("an ice-ufrag with a blank", all_of("ufrag:abcd", "ufrag:ab cd"), BAD),
    ("two ice-ufrags in a section", also("a=ice-ufrag:efgh"), BAD),
    ("credentials in the first section alone", GOOD.replace(VIDEO, VIDEO.replace(TRANSPORT, "a=rtcp-mux\n")), TAKEN),
    ("credentials above all", above(*TRANSPORT.splitlines()[:4]).replace(TRANSPORT, "a=rtcp-mux\n"), TAKEN),
    ("33 candidates", also(*(f"a=candidate:1 1 udp 1 10.0.0.1 {n} typ host" for n in range(33))), TAKEN),
    ("a candidate of another family", also("a=candidate:1 1 udp 1 a1b2.local 9 typ host"), TAKEN),
    ("a candidate on port 65536", also("a=candidate:1 1 udp 1 10.0.0.1 65536 typ host"), BAD),
    # ---- fingerprints
    ("no fingerprint", all_of(f"a=fingerprint:sha-256 {HASH}\n", ""), BAD),
    ("md5", all_of(f"sha-256 {HASH}", "md5 " + ":".join(["AB"] * 16)), UNSUPPORTED),
    ("sha-1", all_of(f"sha-256 {HASH}", "sha-1 " + ":".join(["AB"] * 20)), UNSUPPORTED),
    ("a hash function of tomorrow", all_of(f"sha-256 {HASH}", f"sha3-256 {HASH}"), UNSUPPORTED),
    ("sha-256 of 31 bytes", all_of(HASH, HASH[3:]), BAD),
    ("a fingerprint that is not hexadecimal", all_of(HASH, HASH.replace("AB", "XY")), BAD),
    ("a fingerprint in lower case", all_of(HASH, HASH.lower()), TAKEN),
    ("sections of two certificates", first(HASH, OTHER), BAD),
    ("two certificates in every section", all_of("a=setup", f"a=fingerprint:sha-256 {OTHER}\na=setup"), TAKEN),
    ("two certificates in one section", also(f"a=fingerprint:sha-256 {OTHER}"), BAD),
    (
        "five certificates",
        all_of("a=setup", "".join(f"a=fingerprint:sha-256 0{n}{HASH[2:]}\n" for n in range(4)) + "a=setup"),
        UNSUPPORTED,
    ),
    # ---- payload types
    ("a payload type of two codecs", also("a=rtpmap:96 VP9/90000"), BAD),
    ("a payload type of two codecs across sections", also("a=rtpmap:111 VP9/90000"), BAD),
    ("the same codec in two sections", third(), TAKEN),
    ("a payload type listed twice", video("96 97", "96 96"), BAD),
    ("payload type 128", video("96 97", "96 128"), BAD),
    ("a payload type with a sign", video("96 97", "96 +97"), BAD),
    ("no payload types", first("SAVPF 111", "SAVPF"), BAD),
    ("an rtpmap nobody lists", also("a=rtpmap:100 VP9/90000"), TAKEN),
    ("two fmtp lines that differ", also("a=fmtp:97 apt=98"), BAD),
    ("RTX of RTX", also("a=rtpmap:98 rtx/90000", "a=fmtp:98 apt=97").replace("96 97", "96 97 98"), TAKEN),
    ("RTX of itself", video("apt=96", "apt=97"), TAKEN),
    ("RTX of nothing", video("apt=96", "apt=127"), TAKEN),
    ("RTX of a payload type there cannot be", video("apt=96", "apt=999999999999"), TAKEN),
    ("Opus at another rate", first("opus/48000/2", "opus/8000/2"), TAKEN),
    ("no codec we take", all_of("VP8/", "XX/").replace("opus/", "XX/"), NO_CODEC),
    # ---- header extensions
    ("an id of two URIs", also("a=extmap:1 urn:x"), BAD),
    (
        "an id of two URIs across sections",
        video("a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid", "a=extmap:1 urn:x"),
        BAD,
    ),
    ("an extension under two ids", also("a=extmap:3 urn:ietf:params:rtp-hdrext:sdes:mid"), TAKEN),
    ("id 0", also("a=extmap:0 urn:x"), BAD),
    ("id 15, which one-byte headers cannot carry", also("a=extmap:15 urn:x"), TAKEN),
    ("id 256", also("a=extmap:256 urn:x"), BAD),
    ("id 4096, a wish", also("a=extmap:4096 urn:x"), TAKEN),
    ("id 4352", also("a=extmap:4352 urn:x"), BAD),
    ("an extension of a direction there is not", also("a=extmap:5/both urn:x"), BAD),
    # ---- rid and simulcast
    ("three rids", simulcast(RIDS + "; a=simulcast:send q;h;f"), TAKEN),
    ("a rid twice", simulcast(RIDS + "; a=rid:q send"), BAD),
    ("a rid of 16 characters", simulcast("a=rid:" + "q" * 16 + " send"), TAKEN),
    ("a rid of 17 characters", simulcast("a=rid:" + "q" * 17 + " send"), BAD),
    ("a rid of another alphabet", simulcast("a=rid:q! send"), BAD),
    ("a rid with a payload type nobody lists", simulcast("a=rid:q send pt=99; a=simulcast:send q"), TAKEN),
    ("a rid with payload type 128", simulcast("a=rid:q send pt=128"), BAD),
    ("a rid of no direction", simulcast("a=rid:q"), BAD),
    ("simulcast of rids that are not declared", simulcast("a=simulcast:send q;h"), TAKEN),
    ("simulcast that repeats a rid", simulcast(RIDS + "; a=simulcast:send q;q;q"), TAKEN),
    ("simulcast that sends twice", simulcast(RIDS + "; a=simulcast:send q send h"), BAD),
    ("simulcast both ways", simulcast(RIDS + "; a=rid:r recv; a=simulcast:send q;h recv r"), TAKEN),
    ("simulcast with alternatives and pauses", simulcast(RIDS + "; a=simulcast:send ~q,h;f"), TAKEN),
    ("simulcast without a word", simulcast("a=simulcast:"), BAD),
    ("simulcast twice", simulcast(RIDS + "; a=simulcast:send q; a=simulcast:send h"), BAD),
    ("rids and SSRCs", simulcast(RIDS + "; a=simulcast:send q;h;f", keeps_ssrcs=True), TAKEN),
    # ---- SSRCs and their groups
    ("an SSRC in two sections", also("a=ssrc:10 cname:c"), BAD),
    ("an SSRC in a group of another section", also("a=ssrc-group:FID 10 22"), BAD),
    ("SSRC 0", also("a=ssrc:0 cname:c"), BAD),
    ("SSRC 2^32", also("a=ssrc:4294967296 cname:c"), BAD),
    ("an SSRC of two cnames", also("a=ssrc:20 cname:d"), BAD),
    ("an SSRC that is its own resend", all_of("FID 20 21", "FID 20 20"), BAD),
    (
        "two streams of one resend",
        simulcast("a=ssrc-group:SIM 20 22; a=ssrc-group:FID 20 21; a=ssrc-group:FID 22 21"),
        BAD,
    ),
    ("a stream of two resends", also("a=ssrc-group:FID 20 22"), TAKEN),
    ("SIM with an SSRC twice", simulcast("a=ssrc-group:SIM 20 20"), BAD),
    ("SIM of five", simulcast("a=ssrc-group:SIM 20 21 22 23 24"), TAKEN),
    ("FID of three", all_of("FID 20 21", "FID 20 21 22"), TAKEN),
    ("a group of nothing", also("a=ssrc-group:FID"), BAD),
    ("a group of nine", also("a=ssrc-group:SIM " + " ".join(map(str, range(100, 109)))), BAD),
    ("a group of semantics nobody knows", also("a=ssrc-group:XYZ 20 21"), TAKEN),
    # ---- the session
    ("another version", first("v=0", "v=1"), BAD),
    ("no version", first("v=0\n", ""), BAD),
    ("no origin", re.sub("o=.*\n", "", GOOD), BAD),
    ("two origins", above("o=- 2 2 IN IP4 127.0.0.1"), BAD),
    ("an origin of 21 digits", first("o=- 1 1", "o=- " + "1" * 21 + " 1"), BAD),
    ("no media", GOOD[: GOOD.index("m=audio")].replace("a=group:BUNDLE 0 1\n", ""), BAD),
    ("a direction twice", also("a=recvonly"), BAD),
    ("a NUL", also("a=x:\0"), BAD),
    ("a bare carriage return", also("a=x:\ra=mid:2"), BAD),
    ("a line that is none", also("hello"), BAD),
    ("64 KiB and a byte", GOOD + "a=x:" + "y" * (65536 - len(GOOD) - 4) + "\n", TOO_LARGE),
    ("64 KiB", GOOD + "a=x:" + "y" * (65536 - len(GOOD) - 5) + "\n", TAKEN),
]


def outcome(negotiation: PublishNegotiation, text: str) -> str:
    try:
        negotiation.on_offer(text, local())
    except RemoteProtocolError as error:
        return error.code
    return TAKEN


def negotiation() -> PublishNegotiation:
    return PublishNegotiation(CodecPolicy(("opus",), ("VP8",)))


def test_there_are_a_hundred_and_each_is_another() -> None:
    """
    The table says what it claims.
    """
    assert len(ROWS) >= 100
    assert len(ROWS) == len({what for what, _, _ in ROWS})


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_an_offer_is_taken_or_refused_by_name(text: str, expected: str) -> None:
    """
    As a first offer, and in a session that stands: a refusal leaves both as if it had never come.
    """
    fresh, standing, untouched = negotiation(), negotiation(), negotiation()
    for each in (standing, untouched):
        each.on_offer(GOOD, local())

    assert expected == outcome(fresh, text)
    later = outcome(standing, text)
    if expected != TAKEN:
        assert negotiation().on_offer(GOOD, local()) == fresh.on_offer(GOOD, local())
        # Stopping everything is no error once there is a transport.
        assert later == ("taken" if expected == NO_CODEC and "m=audio 0" in text else expected)
    if later != TAKEN:
        assert untouched.on_offer(GOOD, local()) == standing.on_offer(GOOD, local())


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_whep_takes_and_refuses_the_same_but_for_what_a_sender_alone_says(text: str, expected: str) -> None:
    """
    The table turned round: who receives may say of his streams what he likes, all else holds.
    """
    receiving = text.replace("a=sendonly", "a=recvonly")
    try:
        WhepNegotiation(CodecPolicy(("opus",), ("VP8",))).on_offer(receiving, local(), counter())
        code = TAKEN
    except RemoteProtocolError as error:
        code = error.code

    assert code in (expected, TAKEN)
    if expected == TAKEN:
        assert TAKEN == code


def test_a_refused_text_is_refused_however_lines_end() -> None:
    """
    CRLF and LF alike, row by row.
    """
    for _, text, expected in ROWS:
        if len(text) < 60000:
            assert expected == outcome(negotiation(), text.replace("\n", "\r\n"))


def test_every_answer_of_the_table_reads_back() -> None:
    """
    Each answer has a section for each that was offered, and is a session.
    """
    for _, text, expected in ROWS:
        if expected == TAKEN:
            answer = negotiation().on_offer(text, local()).answer
            assert [m.mid for m in sdp.parse(text).media] == [m.mid for m in sdp.parse(answer).media]
