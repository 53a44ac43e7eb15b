"""
Layers of a publisher on libwebrtc in a recording, as they are forwarded: a file of pictures that decoders show.
"""

from typing import Any

import av
import pytest
import webrtc
from aiortc.rtp import RtpPacket
from test_take import NOW, Cutting, picture

from support import recording

SIZE = (640, 360)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "mode", "decoder"), [("vp9", "L3T3_KEY", "libvpx-vp9"), ("av1", "L2T3_KEY", "libdav1d")]
)
def test_a_picture_of_all_layers_is_one_of_the_highest(codec: str, mode: str, decoder: str) -> None:
    """
    Each picture that came is in the file, and is shown as its highest layer.
    """
    encoding = webrtc.RTCRtpEncodingParameters(scalability_mode=mode, max_bitrate=1_500_000)
    (packets,) = recording.make(codec.upper(), [encoding], (*SIZE, 30), 3.0).encodings
    packets = recording.from_keyframe(codec.upper(), [each for each in packets if each.payload])
    cutting = Cutting()
    cutting.take.begin(picture(codec))
    for each in packets:
        packet = RtpPacket(payload_type=96, marker=int(each.marker), sequence_number=each.seq & 0xFFFF)
        packet.ssrc, packet.timestamp, packet.payload = 2, each.ts, each.payload
        cutting.take.rtp(NOW + each.at_us / 1e6, packet.serialize())
    cutting.take.close(NOW + packets[-1].at_us / 1e6)
    (part,) = cutting.parts
    context: Any = av.CodecContext.create(decoder, "r")
    shown = []
    with av.open(cutting.reader()) as file:
        for packet in file.demux(video=0):
            shown += [(frame.width, frame.height) for frame in context.decode(packet if packet.size else None)]
    telling = [each for each in packets if codec == "vp9" or not each.payload[0] & 0x80]  # else it goes on with an OBU
    spatial = {(each.ts, recording.layer_of(codec.upper(), each)[0]) for each in telling}
    layers = {layer for _, layer in spatial}
    pictures = len({ts for ts, _ in spatial})
    whole = sum(layer == max(layers) for _, layer in spatial)  # an encoder that is short of time leaves the highest out

    assert len(layers) > 1
    assert ("video/webm", 0) == (part.media_type, part.counts.left_out)
    if codec == "vp9":  # Matroska's PixelWidth, two bytes: FFmpeg tells that of the lowest layer when it reads
        assert b"\xb0\x82" + SIZE[0].to_bytes(2, "big") in cutting.files[0][:1000]
    assert whole > pictures // 2
    assert whole - 1 <= shown.count(SIZE) <= whole  # what came last may have had no end
    assert len(shown) <= pictures
