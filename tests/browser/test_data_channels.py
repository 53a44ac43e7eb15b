"""
Messages between real browsers: text, bytes, measurements that may be lost, a file, and channels that come back.
"""

from __future__ import annotations

import pytest
from consulting import OpenPage, Person

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

LISTEN = """(label) => {
  globalThis.heard = [];
  consult.call.channel(label).onmessage = ({ data }) =>
    heard.push(typeof data === "string" ? data : [...new Uint8Array(data)].join(","));
}"""

# The ICE session of each connection, and how a browser says that it is on another network.
FRAGMENTS = """() => consult.call.stats().then((stats) => [stats.publish, stats.subscribe].map((report) =>
  [...report.values()].find(({ type }) => type === "transport").iceLocalUsernameFragment))"""
MOVE = """() => {
  Object.defineProperty(navigator.connection, "type", { get: () => "cellular", configurable: true });
  navigator.connection.dispatchEvent(new Event("change"));
}"""


async def both(open_page: OpenPage) -> tuple[Person, Person]:
    alice = await open_page("alice", role="practitioner")
    bob = await open_page("bob")
    await alice.join()
    await bob.join()
    await bob.sees()
    return alice, bob


async def test_text_and_bytes_go_both_ways(open_page: OpenPage) -> None:
    """
    A page opens a label, the other one hears on it and answers; nobody hears himself; the picture goes on.
    """
    alice, bob = await both(open_page)
    for person in (alice, bob):
        await person.page.evaluate(LISTEN, "température")
        await person.until("consult.call.channel('température').isOpen")
    await alice.page.evaluate("consult.call.channel('température').send('36,6 °C')")
    await bob.until("heard.length === 1")
    await bob.page.evaluate("consult.call.channel('température').send(new Uint8Array([1, 2, 255]))")
    await alice.until("heard.length === 1")

    assert ["36,6 °C"] == await bob.page.evaluate("heard")
    assert ["1,2,255"] == await alice.page.evaluate("heard")
    assert (await bob.video_rate("subscribe", 1)).frames > 0
    assert ([], []) == (alice.complaints, bob.complaints)


async def test_who_opened_nothing_is_told_of_the_channel_and_its_kind(open_page: OpenPage) -> None:
    """
    The relay opens it to the other with the same reliability.
    """
    alice, bob = await both(open_page)
    await bob.page.evaluate(
        """() => consult.call.addEventListener("channel", ({ channel }) => {
          globalThis.told = [];
          channel.onmessage = ({ data }) => told.push(channel.label + data);
        })"""
    )
    await alice.page.evaluate("consult.call.channel('pulse', { ordered: false, maxRetransmits: 0 })")
    await alice.until("consult.call.channel('pulse').isOpen")
    await bob.until("Boolean(globalThis.told)")
    await alice.page.evaluate("consult.call.channel('pulse').send('72')")
    await bob.until("told.length === 1")

    assert ["pulse72"] == await bob.page.evaluate("told")


async def test_a_file_of_a_megabyte_arrives_whole_and_what_is_too_large_is_named(open_page: OpenPage) -> None:
    """
    `drained` paces the sender; a message past 64 KiB throws `too_large`.
    """
    alice, bob = await both(open_page)
    await bob.page.evaluate(
        """() => {
          Object.assign(globalThis, { size: 0, sum: 0 });
          consult.call.channel("file").onmessage = ({ data }) => {
            for (const byte of new Uint8Array(data)) sum = (sum * 31 + byte) % 65521;
            size += data.byteLength;
          };
        }"""
    )
    await bob.until("consult.call.channel('file').isOpen")
    sent = await alice.page.evaluate(
        """async () => {
          const channel = consult.call.channel("file");
          await channel.ready();
          let sum = 0;
          for (let n = 0; n < 64; n++) {
            const piece = crypto.getRandomValues(new Uint8Array(16384));
            for (const byte of piece) sum = (sum * 31 + byte) % 65521;
            await channel.drained(65536);
            channel.send(piece);
          }
          let code = null;
          try { channel.send("x".repeat(65537)); } catch (error) { code = error.code; }
          return [sum, code];
        }"""
    )
    await bob.until("size >= 64 * 16384")

    assert [await bob.page.evaluate("sum"), "too_large"] == sent


async def test_who_is_given_a_channel_may_send_a_file_at_once(open_page: OpenPage) -> None:
    """
    As soon as `ready` says so, however busy the page is: what is sent in the task in which a channel opens, and leaves
    before its end, stays in Chromium's `bufferedAmount`, and `drained` waited for it for ever.
    """
    alice, bob = await both(open_page)
    await alice.page.evaluate(
        """() => consult.call.addEventListener("channel", async ({ channel }) => {
          await channel.ready();
          for (let n = 0; n < 32; n++) {
            await channel.drained(65536);
            channel.send(new Uint8Array(16384).fill(n));
            const until = performance.now() + (n < 5 ? 30 : 0);
            while (performance.now() < until);
          }
          globalThis.left = () => channel.bufferedAmount;
        })"""
    )
    await bob.page.evaluate(
        """() => {
          globalThis.pieces = [];
          consult.call.channel("file").onmessage = ({ data }) => pieces.push(new Uint8Array(data)[data.byteLength - 1]);
        }"""
    )
    await bob.until("pieces.length === 32")
    await alice.until("globalThis.left?.() === 0")

    assert list(range(32)) == await bob.page.evaluate("pieces")


async def test_channels_open_again_with_a_new_connection(open_page: OpenPage) -> None:
    """
    The publishing connection is begun anew; the label is there again without the page's doing.
    """
    alice, bob = await both(open_page)
    await bob.page.evaluate(LISTEN, "chat")
    await bob.until("consult.call.channel('chat').isOpen")
    await alice.page.evaluate("consult.call.channel('notes')")
    await alice.until("consult.call.channel('notes').isOpen")
    await alice.page.reload()
    await alice.see("leave").wait_for()
    await alice.page.evaluate(
        "consult.call.channel('chat').ready().then(() => consult.call.channel('chat').send('back'))"
    )
    await bob.until("heard.length === 1")

    assert ["back"] == await bob.page.evaluate("heard")


async def test_a_transfer_goes_on_through_an_ice_restart(open_page: OpenPage) -> None:
    """
    SCTP does not notice: the same channel on both sides, before and after, no piece of the file lost or out of turn.
    """
    alice, bob = await both(open_page)
    for person in (alice, bob):
        await person.page.evaluate(LISTEN, "chat")
        await person.until("consult.call.channel('chat').isOpen")
        await person.page.evaluate(
            "() => { globalThis.closed = 0; consult.call.channel('chat').addEventListener('close', () => closed++); }"
        )
    before = await alice.page.evaluate(FRAGMENTS)
    await alice.page.evaluate(
        """() => { globalThis.sending = (async () => {
          const channel = consult.call.channel("chat");
          for (let n = 0; n < 64; n++) {
            const piece = String(n).padEnd(16384, ".");
            await channel.drained(65536);
            channel.send(piece);
            await new Promise((resolve) => setTimeout(resolve, 20));  // the restart happens meanwhile
          }
        })(); }"""
    )
    await bob.until("heard.length >= 3")
    await alice.page.evaluate(MOVE)
    await bob.until("heard.length === 64", 30)
    after = await alice.page.evaluate(FRAGMENTS)

    assert [f"{n}".ljust(16384, ".") for n in range(64)] == await bob.page.evaluate("heard")
    assert not set(before) & set(after)
    assert [0, 0] == [await person.page.evaluate("closed") for person in (alice, bob)]
