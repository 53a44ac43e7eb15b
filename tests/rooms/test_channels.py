"""Which data channels belong together: everyone has one end of each label, and the bounds hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerelay.protocol.data import ChannelParameters
from telerelay.rooms.channels import MAX_CHANNELS, Channels, CloseChannel, OpenChannel

CHAT = ChannelParameters("chat")
PEOPLE = ["ada", "bob", "cem"]


class Room:
    """Three people, and the caller of Channels: what is planned is done at once."""

    def __init__(self) -> None:
        self.waiting: set[str] = set()
        self.silent: set[str] = set()
        self.channels: Channels[str] = Channels(
            lambda who: who not in self.waiting | self.silent, lambda who: who not in self.waiting
        )
        self.count = 0
        self.passed: dict[str, tuple[str, ChannelParameters]] = {}

    def open(self, who: str, parameters: ChannelParameters = CHAT) -> str:
        self.count += 1
        assert self.channels.opened(who, f"{who}-own-{self.count}", parameters)
        return f"{who}-own-{self.count}"

    def settle(self) -> None:
        for step in self.channels.plan(PEOPLE):
            if isinstance(step, OpenChannel):
                self.count += 1
                handle = f"{step.participant}-relay-{self.count}"
                self.channels.passed_on(step.participant, handle, step.parameters)
                self.passed[handle] = (step.participant, step.parameters)
            else:
                self.channels.closed(step.handle)
                del self.passed[step.handle]


def test_everyone_else_gets_a_channel_like_the_one_that_was_opened() -> None:
    """
    Same label, same reliability; and a plan that was carried out is empty.
    """
    room = Room()
    lossy = ChannelParameters("measures", protocol="json", is_ordered=False, max_retransmits=0)
    room.open("ada", lossy)
    room.settle()

    assert [("bob", lossy), ("cem", lossy)] == sorted(room.passed.values(), key=lambda each: each[0])
    assert () == room.channels.plan(PEOPLE)


def test_a_message_goes_to_all_others_once() -> None:
    """
    No echo, and each participant once however many channels of the label it has.
    """
    room = Room()
    room.open("ada")
    first = room.open("bob")
    room.open("bob")
    room.settle()
    (to_cem,) = room.passed

    assert (first, to_cem) == room.channels.recipients("ada", CHAT.name)
    assert ("ada", "cem") == tuple(each.split("-")[0] for each in room.channels.recipients("bob", CHAT.name))


def test_who_opens_the_label_hears_it_there_and_keeps_what_the_relay_opened() -> None:
    """
    What is on its way on the relay's channel is not lost: closing it under a file that is being sent lost pieces of it.
    """
    room = Room()
    room.open("ada")
    room.settle()
    relays = next(handle for handle, (who, _) in room.passed.items() if who == "bob")
    own = room.open("bob")
    heard_on = room.channels.recipients("ada", CHAT.name)
    room.settle()

    assert own in heard_on
    assert relays not in heard_on
    assert relays in room.passed
    assert ((relays,), ()) == (room.channels.others(own), room.channels.others(relays))


def test_a_label_outlives_its_opener_where_others_talk_on_it() -> None:
    """
    Ada opened it and goes while Bob sends to Cem: both keep their ends. It is over with the last who spoke.
    """
    room = Room()
    own = room.open("ada")
    room.settle()
    (to_bob, *_) = (handle for handle, (who, _) in room.passed.items() if who == "bob")
    room.channels.spoke(to_bob)
    room.channels.closed(own)
    room.settle()
    after = sorted(who for who, _ in room.passed.values())
    room.channels.closed(to_bob)
    del room.passed[to_bob]
    room.settle()

    assert ["ada", "bob", "cem"] == after
    assert {} == room.passed


@pytest.mark.parametrize("kind", ["outlived", "beside an own one"])
def test_what_is_spare_gives_way_to_what_somebody_opened(kind: str) -> None:
    """
    Sixteen channels of the relay's are enough for sixteen labels, whatever was there before.
    """
    room = Room()
    olds = [room.open("ada", ChannelParameters(f"old{n}")) for n in range(MAX_CHANNELS)]
    room.settle()
    for handle, (who, parameters) in list(room.passed.items()):
        if who == "bob" and kind == "outlived":
            room.channels.spoke(handle)
        elif who == "bob":
            room.open("bob", parameters)
    for handle in olds if kind == "outlived" else ():
        room.channels.closed(handle)
    for n in range(MAX_CHANNELS):
        room.open("cem", ChannelParameters(f"new{n}"))
    room.settle()

    labels = {parameters.label for who, parameters in room.passed.values() if who == "bob"}
    assert {f"new{n}" for n in range(MAX_CHANNELS)} == labels
    assert () == room.channels.plan(PEOPLE)


def test_the_relays_channels_close_with_the_last_own_one() -> None:
    """
    As long as one is open the label lives, and who closed his gets the relay's.
    """
    room = Room()
    first, second = room.open("ada"), room.open("bob")
    room.settle()
    room.channels.closed(first)
    room.settle()
    with_one = sorted(who for who, _ in room.passed.values())
    room.channels.closed(second)
    room.settle()

    assert (["ada", "cem"], {}) == (with_one, room.passed)


def test_who_is_not_admitted_neither_sends_nor_hears() -> None:
    """
    A56: and once admitted, all is made good.
    """
    room = Room()
    room.waiting = {"bob"}
    room.open("bob", ChannelParameters("secret"))
    room.open("ada")
    room.settle()
    before = sorted((who, each.label) for who, each in room.passed.values())
    to_whom = room.channels.recipients("bob", (None, "secret")), room.channels.recipients("ada", CHAT.name)
    room.waiting = set()
    room.settle()

    assert [("cem", "chat")] == before
    assert ((), 1) == (to_whom[0], len(to_whom[1]))
    assert [("ada", "secret"), ("bob", "chat"), ("cem", "chat"), ("cem", "secret")] == sorted(
        (who, each.label) for who, each in room.passed.values()
    )


def test_who_only_receives_does_so() -> None:
    """
    An observer hears and is not heard.
    """
    room = Room()
    room.silent = {"cem"}
    room.open("ada")
    room.settle()

    assert () == room.channels.recipients("cem", CHAT.name)
    assert 2 == len(room.channels.recipients("ada", CHAT.name))


def test_a_participant_has_sixteen_channels_and_not_one_more() -> None:
    """
    A46; one that is closed makes room.
    """
    room = Room()
    handles = [room.open("ada", ChannelParameters(f"c{n}")) for n in range(MAX_CHANNELS)]

    assert not room.channels.opened("ada", "more", CHAT)
    assert room.channels.opened("bob", "other", CHAT)
    room.channels.closed(handles[0])
    assert room.channels.opened("ada", "more", CHAT)


def test_the_relay_opens_sixteen_channels_to_a_participant_and_not_one_more() -> None:
    """
    However many labels the others have.
    """
    room = Room()
    for n in range(MAX_CHANNELS):
        room.open("ada", ChannelParameters(f"a{n}"))
        room.open("bob", ChannelParameters(f"b{n}"))
    room.settle()

    assert MAX_CHANNELS == sum(who == "cem" for who, _ in room.passed.values())
    assert () == room.channels.plan(PEOPLE)


@pytest.mark.parametrize("mend", ["own", "renewed", "label"])
def test_who_did_not_keep_up_gets_the_label_back_only_anew(mend: str) -> None:
    """
    By opening it, with another connection, or when the label is opened anew.
    """
    room = Room()
    own = room.open("ada")
    room.settle()
    handle = next(handle for handle, (who, _) in room.passed.items() if who == "bob")
    room.channels.cut(handle)
    del room.passed[handle]
    room.settle()
    assert ["cem"] == [who for who, _ in room.passed.values()]
    if mend == "own":
        room.channels.closed(room.open("bob"))
    elif mend == "renewed":
        room.channels.forgive("bob")
    else:
        room.channels.closed(own)
        room.settle()
        room.open("ada")
    room.settle()

    assert ["bob", "cem"] == sorted(who for who, _ in room.passed.values())


def test_agreed_channels_go_by_their_stream() -> None:
    """
    Stream 7 and stream 8 are two channels, neither of them the one with the empty label.
    """
    room = Room()
    seven, eight = ChannelParameters("", negotiated_id=7), ChannelParameters("", negotiated_id=8)
    room.open("ada", seven)
    other = room.open("bob", seven)
    room.open("bob", eight)
    room.open("bob", ChannelParameters(""))

    assert (other,) == room.channels.recipients("ada", seven.name)


STEPS = st.tuples(
    st.sampled_from(["open", "close", "wait", "cut", "speak"]), st.sampled_from(PEOPLE), st.integers(0, 3)
)


@given(st.lists(STEPS))
def test_whatever_happens_a_plan_is_carried_out_once(steps: list[tuple[str, str, int]]) -> None:
    """
    After it everyone admitted has at most one channel of the relay's for each label, and one of any kind if it lives;
    none was closed whose label is in use.
    """
    room = Room()
    own: dict[str, tuple[str, int]] = {}
    spoken: set[str] = set()
    for what, who, n in steps:
        if what == "open" and sum(each[0] == who for each in own.values()) < MAX_CHANNELS:
            own[room.open(who, ChannelParameters(str(n)))] = (who, n)
        elif what == "close" and own:
            handle = sorted(own)[n % len(own)]
            room.channels.closed(handle)
            del own[handle]
        elif what == "wait":
            room.waiting ^= {who}
        elif room.passed:
            handle = sorted(room.passed)[n % len(room.passed)]
            if what == "speak":
                room.channels.spoke(handle)
                spoken.add(handle)
            else:
                room.channels.cut(handle)
                del room.passed[handle]
        before = dict(room.passed)
        in_use = {str(n) for who, n in own.values() if who not in room.waiting}
        in_use |= {p.label for handle, (who, p) in before.items() if handle in spoken and who not in room.waiting}
        room.settle()
        ends = [(who, each.label) for who, each in room.passed.values()]
        assert len(set(ends)) == len(ends)
        assert {label for _, label in ends} <= in_use
        kept = {handle for handle, (who, p) in before.items() if p.label in in_use and who not in room.waiting}
        assert kept <= set(room.passed)
        assert not room.waiting & {who for who, _ in ends}
        assert () == room.channels.plan(PEOPLE)


def test_a_plan_tells_apart_what_it_closes() -> None:
    """
    The caller finds its own handle in it.
    """
    room = Room()
    own = room.open("ada")
    room.settle()
    room.channels.closed(own)

    assert {CloseChannel(handle) for handle in room.passed} == set(room.channels.plan(PEOPLE))
