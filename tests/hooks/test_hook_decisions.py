"""A decision is answered in time, closed where its rule fails, and by the relay where there is none."""

import asyncio
import dataclasses
import logging
import time
from typing import Any

import pytest

from support.hook_requests import REQUESTS, ask
from telerelay import config
from telerelay.hooks import (
    Admission,
    ChannelRequest,
    HookFailure,
    HookRunner,
    Hooks,
    JoinRequest,
    NoHooks,
    PolicyResult,
    Route,
    RouteRequest,
    WaitingContent,
    WaitingItem,
)
from telerelay.hooks import runner as runners
from telerelay.hooks.asked import DECISIONS
from telerelay.hooks.hooks import HOOK_NAMES, overridden
from telerelay.hooks.told import EVENTS
from telerelay.hooks.ways import WHYS

ROUTE = Route("desk-2", ("dr-7", "dr-8"))
ITEM = WaitingItem("w1", "video", "/waiting/hands.mp4", "Washing hands")
POLICY = PolicyResult("cnam", "2020-03", "met", {"reimbursable": True, "minutes": 10, "share": 0.5}, "ten minutes")

# hook, without a rule, when the rule fails, an answer, what is none
CASES: list[tuple[str, object, object, object, list[object]]] = [
    ("authorize_join", True, False, True, [1, None, "yes", [True]]),
    (
        "route",
        Route("desk-1"),
        Route("desk-1"),
        ROUTE,
        [None, "desk-2", Route(7), Route("d", ["dr-7"]), Route("d", ("x",) * 33), Route("a\n")],
    ),
    (
        "admit",
        Admission("wait"),
        Admission("wait"),
        Admission("admit", "rule-3"),
        [True, "admit", Admission("admit"), Admission("deny"), Admission("let", "dr-7"), Admission("admit", 7)],
    ),
    ("surge", "hold", "hold", "refuse", [None, True, "drop", ["hold"]]),
    ("publish_policy", True, False, True, [0, None, "no"]),
    ("subscribe_policy", True, False, True, [0, None]),
    ("channel_policy", True, False, True, [0, None]),
    ("camera_control", True, False, True, [0, None, "home"]),
    ("document_policy", True, False, True, [0, None]),
    ("still_consent", True, False, True, [1, None, "ask"]),
    ("recording_consent", True, False, True, [1, None, "ask"]),
    (
        "waiting_content",
        WaitingContent(),
        WaitingContent(),
        WaitingContent((ITEM,)),
        [
            None,
            (ITEM,),
            WaitingContent([ITEM]),
            WaitingContent((ITEM,) * 17),
            *(
                WaitingContent((dataclasses.replace(ITEM, url=url),))
                for url in (
                    "http://other.example/a",
                    "//other.example/a",
                    "javascript:alert(1)",
                    "/a b",
                    "/\\other.example",
                    "https://u:p@other.example/",
                    "https://[",
                    "/" + "a" * 2048,
                    "",
                    7,
                )
            ),
            WaitingContent((dataclasses.replace(ITEM, kind="script"),)),
            WaitingContent((dataclasses.replace(ITEM, title="\ud800"),)),
        ],
    ),
    (
        "attest",
        None,
        None,
        POLICY,
        [
            True,
            {},
            dataclasses.replace(POLICY, claims={"a": float("nan")}),
            dataclasses.replace(POLICY, claims={"a": 2**53}),
            dataclasses.replace(POLICY, claims={"a": None}),
            dataclasses.replace(POLICY, claims={"a": {"b": 1}}),
            dataclasses.replace(POLICY, claims={7: 1}),
            dataclasses.replace(POLICY, claims={str(number): 1 for number in range(65)}),
            dataclasses.replace(POLICY, reason="r" * 1025),
            dataclasses.replace(POLICY, outcome=None),
        ],
    ),
    ("degrade", "usual", "usual", "audio_only", [None, "stop", True]),
]


class Rules(Hooks):
    """Answers each decision as it is told to, or raises, or hangs."""

    def __init__(self, answer: object = None) -> None:
        self.answer = answer
        self.asked: list[object] = []

    async def _answer(self, request: object) -> Any:
        self.asked.append(request)
        if isinstance(self.answer, BaseException):
            raise self.answer
        if isinstance(self.answer, asyncio.Event):
            await self.answer.wait()
        return self.answer


def _rule(hook: str) -> Any:
    async def rule(self: Rules, request: object) -> Any:
        return await self._answer(request)

    return rule


for _hook in DECISIONS:
    setattr(Rules, _hook, _rule(_hook))


def test_every_hook_has_its_place() -> None:
    """
    The protocol, the tables of decisions and events, and the words of the configuration name the same hooks.
    """
    assert DECISIONS.keys() | EVENTS.keys() == HOOK_NAMES
    assert [case[0] for case in CASES] == list(DECISIONS)
    assert set(config.DECISION_NAMES) == DECISIONS.keys()
    assert set(config.EVENT_NAMES) == EVENTS.keys()


@pytest.mark.parametrize(("hook", "unruled", "closed", "answer", "nonsense"), CASES, ids=[case[0] for case in CASES])
async def test_each_decision_has_its_three_answers(
    hook: str, unruled: object, closed: object, answer: object, nonsense: list[object]
) -> None:
    """
    Without a rule the relay's own, with one the rule's, closed for an exception and for all that is no answer.
    """
    rules = Rules(answer)
    runner = HookRunner(rules)

    assert unruled == await ask(HookRunner(NoHooks()), hook)
    assert answer == await ask(runner, hook)
    assert [REQUESTS[hook]] == rules.asked
    for each in nonsense:
        rules.answer = each
        assert closed == await ask(runner, hook), each
    rules.answer = RuntimeError("p-9 coughs")
    assert closed == await ask(runner, hook)
    assert {(hook, "nonsense"): len(nonsense), (hook, "exception"): 1} == runner.failures


async def test_what_a_rule_never_says_is_closed_in_time() -> None:
    """
    Two seconds by default; the call is cancelled, and named with its stack but without its words.
    """
    rules = Rules(asyncio.Event())
    runner = HookRunner(rules, decision_deadline_s=0.05)
    began = time.monotonic()

    assert await ask(runner, "authorize_join") is False
    assert 0.05 <= time.monotonic() - began < 1
    assert 2.0 == runners.DECISION_DEADLINE_S
    assert {("authorize_join", "timeout"): 1} == runner.failures


async def test_a_failure_is_named_where_it_stands(caplog: pytest.LogCaptureFixture) -> None:
    """
    The log has hook, reason and stack, the journal's keeper the room; neither has anything of the person.
    """
    heard: list[HookFailure] = []
    rules = Rules(asyncio.Event())
    runner = HookRunner(rules, decision_deadline_s=0.02)
    runner.on_failure = heard.append
    await ask(runner, "channel_policy", ChannelRequest("c1", "p-9", "patient", "diabetes"))
    assert "in _answer" in caplog.text
    rules.answer = ValueError("diabetes")
    await ask(runner, "channel_policy", ChannelRequest("c1", "p-9", "patient", "diabetes"))

    assert [HookFailure("c1", "channel_policy", "timeout"), HookFailure("c1", "channel_policy", "exception")] == heard
    assert "event=hook_timeout hook=channel_policy" in caplog.text
    assert "diabetes" not in caplog.text
    assert "p-9" not in caplog.text


async def test_a_rule_that_swallows_its_cancellation_holds_nobody() -> None:
    """
    It is left behind; with too many of them no more are called, and the answer is closed at once.
    """
    release = asyncio.Event()

    class Stubborn(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return True

    runner = HookRunner(Stubborn(), decision_deadline_s=0.02)
    async with asyncio.timeout(5):
        answers = await asyncio.gather(*(ask(runner, "authorize_join") for _ in range(runners.MAX_HUNG)))
        answers.append(await ask(runner, "authorize_join"))
    release.set()
    await asyncio.sleep(0)

    assert {False} == set(answers)
    assert {("authorize_join", "timeout"): runners.MAX_HUNG, ("authorize_join", "hung"): 1} == runner.failures


async def test_a_rule_that_keeps_the_loop_too_long_is_too_late() -> None:
    """
    Its yes came after the deadline, which could not run: it is refused, and named for what it did.
    """

    class Blocking(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            time.sleep(0.1)  # noqa: ASYNC251
            return True

    runner = HookRunner(Blocking(), decision_deadline_s=0.05)

    assert await ask(runner, "authorize_join") is False
    assert {("authorize_join", "blocked"): 1} == runner.failures
    assert "timeout" == HookFailure("c1", "authorize_join", "blocked").fault


class Outcome(BaseException):
    """What some libraries end a whole run with."""


@pytest.mark.parametrize(
    "error",
    [SystemExit(3), asyncio.CancelledError(), TimeoutError(), StopIteration(), GeneratorExit(), Outcome()],
    ids=lambda error: type(error).__name__,
)
async def test_no_exception_of_a_rule_ends_more_than_its_answer(error: BaseException) -> None:
    """
    Neither the process, nor the call of who asked.
    """
    runner = HookRunner(Rules(error))

    assert await ask(runner, "authorize_join") is False
    assert 1 == sum(runner.failures.values())


async def test_a_rule_that_is_not_async_is_nonsense() -> None:
    """
    A plain function is a mistake that types would have shown.
    """

    class Plain(Hooks):
        def authorize_join(self, request: JoinRequest) -> bool:  # type: ignore[override]
            return True

    runner = HookRunner(Plain())

    assert await ask(runner, "authorize_join") is False
    assert {("authorize_join", "nonsense"): 1} == runner.failures


@pytest.mark.parametrize(
    ("passes", "is_emergency", "expected"), [(True, True, True), (True, False, False), (False, True, False)]
)
async def test_only_an_emergency_passes_a_rule_that_fails_and_only_where_that_is_set(
    passes: bool, is_emergency: bool, expected: bool
) -> None:
    """
    A plain no is a no, of an emergency too.
    """
    rules = Rules(RuntimeError())
    runner = HookRunner(rules, emergency_passes=passes)
    request = JoinRequest("c1", "p-9", "patient", is_emergency=is_emergency)

    assert await ask(runner, "authorize_join", request) is expected
    rules.answer = False
    assert await ask(runner, "authorize_join", request) is False
    rules.answer = RuntimeError()
    assert Admission("wait") == await ask(runner, "admit", dataclasses.replace(REQUESTS["admit"], is_emergency=True))


async def test_who_asks_may_go_and_takes_the_call_along() -> None:
    """
    A join whose client has gone leaves nothing that runs.
    """
    rules = Rules(asyncio.Event())
    runner = HookRunner(rules)
    asking = asyncio.ensure_future(ask(runner, "authorize_join"))
    while not rules.asked:  # noqa: ASYNC110
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0)

    assert [] == [task for task in asyncio.all_tasks() if task.get_name() == "hook"]
    assert not runner.failures


async def test_a_slow_rule_for_one_room_does_not_hold_another(caplog: pytest.LogCaptureFixture) -> None:
    """
    Decisions run side by side.
    """
    caplog.set_level(logging.CRITICAL)
    hangs = asyncio.Event()

    class OneHangs(Hooks):
        async def authorize_join(self, request: JoinRequest) -> bool:
            if request.room == "slow":
                await hangs.wait()
            return True

    runner = HookRunner(OneHangs(), decision_deadline_s=0.2)
    slow = asyncio.ensure_future(ask(runner, "authorize_join", JoinRequest("slow", "p-1", "patient")))
    began = time.monotonic()
    others = [await ask(runner, "authorize_join", JoinRequest(f"c{number}", "p-2", "patient")) for number in range(100)]

    assert [True] * 100 == others
    assert time.monotonic() - began < 0.2
    assert await slow is False


def test_what_is_overridden_is_known_of_objects_and_classes() -> None:
    """
    What nobody wrote a rule for costs nothing, so it must be known.
    """

    class One(Hooks):
        async def route(self, request: RouteRequest) -> Route:
            return Route("")

    assert frozenset({"route"}) == overridden(One()) == overridden(One)
    assert frozenset() == overridden(NoHooks())


def test_the_words_for_what_goes_wrong_are_those_of_the_journal() -> None:
    """
    Whatever a runner reports can be written down as a fact.
    """
    from telerelay.consult.facts import HOOK_FAULTS

    faults = {HookFailure("c1", "admit", why).fault for why in WHYS} - {"dead"}

    assert faults <= set(HOOK_FAULTS)
