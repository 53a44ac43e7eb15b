"""
The consult page with many others, on small screens: no word lies on another, each picture can be pressed.

The others are feigned in the page, so that one Chromium is enough for five of them: what they publish is put into the
call's `participants`, as the relay's messages do.
"""

from __future__ import annotations

import pytest
from consulting import OpenPage, Person

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

# Role, camera and microphone: "on", "none", or why it is muted. The longest words of the page are among them.
OTHERS = [
    ("practitioner", "on", "on"),
    ("assistant", "none", "none"),
    ("requester", "user", "source"),
    ("companion", "on", "user"),
    ("interpreter", "source", "interrupted"),
]
SIZES = [(390, 844), (360, 640), (844, 390), (768, 1024), (1280, 800)]

FEIGN = """(rows) => {
  const picture = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const pen = canvas.getContext("2d");
    setInterval(() => { pen.fillStyle = "#7a8c6a"; pen.fillRect(0, 0, 320, 240); }, 200);
    return canvas.captureStream(5);
  };
  const { participants } = consult.call;
  participants.clear();
  for (const [index, [role, camera, microphone]] of rows.entries()) {
    const id = `feigned-${index}`;
    const stream = camera === "on" ? picture() : new MediaStream();
    const publications = new Map();
    for (const [kind, source, state] of [["video", "camera", camera], ["audio", "microphone", microphone]]) {
      if (state === "none") continue;
      const isOn = state === "on";
      const rest = { muted: !isOn, reason: isOn ? null : state, stalled: false, paused: null };
      publications.set(kind, { id: `${id}-${kind}`, kind, source, ...rest, track: isOn ? {} : null, stream });
    }
    participants.set(id, { id, sub: id, role, interrupted: false, stream, publications });
  }
}"""

# The tiles are there after the next drawing; what they play is put in by hand, as nothing comes over the wire.
PLAY = """() => {
  const others = [...consult.call.participants.values()];
  for (const [index, video] of [...document.querySelectorAll(".tile video")].entries()) {
    if (others[index].stream.getTracks().length && !video.srcObject) video.srcObject = others[index].stream;
  }
}"""

CLASHES = """() => {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`scrolls sideways: ${root.scrollWidth}`);
  for (const tile of document.querySelectorAll(".tile")) {
    const frame = tile.getBoundingClientRect();
    const who = tile.querySelector(".who").textContent;
    if (frame.height < 44 || frame.width < 44) found.push(`${who} is ${frame.width} x ${frame.height}`);
    const texts = [...tile.querySelectorAll(".cover span, .held span, .who, .badge")]
      .filter((node) => node.textContent && node.checkVisibility({ visibilityProperty: true }))
      .map((node) => {
        const range = document.createRange();
        range.selectNodeContents(node);
        return [node.textContent, range.getBoundingClientRect()];
      });
    for (const [index, [text, { left, right, top, bottom }]] of texts.entries()) {
      const isIn = left >= frame.left && right <= frame.right && top >= frame.top && bottom <= frame.bottom;
      if (!isIn) found.push(`${who}: "${text}" leaves the picture`);
      for (const [other, box] of texts.slice(index + 1)) {
        const isApart = left >= box.right || box.left >= right || top >= box.bottom - 1 || box.top >= bottom - 1;
        if (!isApart) found.push(`${who}: "${text}" lies on "${other}"`);
      }
    }
  }
  for (const button of document.querySelectorAll(".controls button")) {
    if (button.scrollHeight > button.clientHeight + 1) found.push(`${button.innerText} is cut`);
  }
  return found;
}"""


async def meet(person: Person, count: int) -> None:
    """So many others, their pictures shown."""
    shown = [row for row in OTHERS[:count] if row[1] == "on"]
    await person.page.evaluate(FEIGN, OTHERS[:count])
    await person.until(f"document.querySelectorAll('.tile').length === {count}")
    await person.page.evaluate(PLAY)
    await person.until(f"document.querySelectorAll('.tile[data-picture=on]').length === {len(shown)}")


@pytest.mark.slow
@pytest.mark.parametrize("language", ["fr-FR", "en-GB"])
async def test_with_up_to_five_others_no_word_lies_on_another(open_page: OpenPage, language: str) -> None:
    """
    Names, reasons and badges of two to five others stand apart inside their pictures, on a phone, a small one, one on
    its side, a tablet and a desk.
    """
    ada = await open_page("ada", language=language)
    await ada.join()
    found: dict[str, list[str]] = {}
    for count in range(2, len(OTHERS) + 1):
        await meet(ada, count)
        for width, height in SIZES:
            await ada.page.set_viewport_size({"width": width, "height": height})
            if clashes := await ada.page.evaluate(CLASHES):
                found[f"{count} others, {width} x {height}"] = clashes
            if count == len(OTHERS):
                await ada.screenshot(f"crowd-{language[:2]}-{width}")

    assert {} == found
    assert [] == ada.complaints


@pytest.mark.slow
async def test_in_a_crowd_what_a_picture_says_is_not_said_twice(open_page: OpenPage) -> None:
    """
    With two others the status line says who has turned a camera off; with three the picture alone does, and the
    line keeps what is a trouble.
    """
    off = ("patient", "user", "user")
    ada = await open_page("ada")
    await ada.join()
    await ada.page.evaluate(FEIGN, [OTHERS[0], off])
    await ada.says("The patient has turned the camera off.")
    await ada.page.evaluate(FEIGN, [OTHERS[0], off, OTHERS[2]])
    await ada.says("The requesting practitioner’s microphone is silent")
    assert "has turned" not in await ada.status()
