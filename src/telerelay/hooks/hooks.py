"""
The hooks an application may implement: decisions it is asked for, events it is told of.

Pure words: asked.py has the questions, told.py the events, runner.py runs what is implemented here. docs/hooks.md says
of each when it is called.
"""

import difflib
import inspect
from typing import Protocol

from telerelay.errors import ConfigError
from telerelay.hooks.asked import (
    Admission,
    AdmitRequest,
    AttestRequest,
    CameraRequest,
    ChannelRequest,
    DegradeAnswer,
    DegradeRequest,
    DocumentRequest,
    JoinRequest,
    PolicyResult,
    PublishRequest,
    RecordingRequest,
    Route,
    RouteRequest,
    StillRequest,
    SubscribeRequest,
    SurgeAnswer,
    SurgeRequest,
    WaitingContent,
    WaitingRequest,
)
from telerelay.hooks.told import (
    DocumentEvent,
    EndEvent,
    ExpertiseEvent,
    FactEvent,
    MeasurementEvent,
    PersonEvent,
    PresenceEvent,
    QualityEvent,
    StateEvent,
    StillEvent,
    TimerEvent,
)


class Hooks(Protocol):
    """
    Inherit and override what you need; what is not overridden costs nothing. All run on the event loop: what blocks
    there stops signalling, though not media. A decision has two seconds (`hooks.decision_timeout_s`); an exception,
    a later answer, or one that is none is answered closed, as each says. Events of one room come in order.
    """

    # ---------------------------------------------------------------- decisions

    async def authorize_join(self, request: JoinRequest) -> bool:
        """Whether this person may join. Closed: no, but for an emergency with `hooks.emergency_passes`."""
        return True

    async def route(self, request: RouteRequest) -> Route:
        """Whose desk a consult waits at, and who is rung. Closed: its plan's desk, and nobody is rung."""
        return Route(request.queue)

    async def admit(self, request: AdmitRequest) -> Admission:
        """Whether someone who waits is let in or turned away by rule. Closed: he waits for a decider."""
        return Admission("wait")

    async def surge(self, request: SurgeRequest) -> SurgeAnswer:
        """
        What becomes of a consult there is no room for: hold (with a position), take (of what is kept for
        emergencies) or refuse. Closed: hold.
        """
        return "hold"

    async def publish_policy(self, request: PublishRequest) -> bool:
        """Whether this person may send that track, where the role may send at all. Closed: no."""
        return True

    async def subscribe_policy(self, request: SubscribeRequest) -> bool:
        """Whether this person is sent that track, where the role may be sent any. Closed: no."""
        return True

    async def channel_policy(self, request: ChannelRequest) -> bool:
        """Whether this person may open that data channel. Closed: no."""
        return True

    async def camera_control(self, request: CameraRequest) -> bool:
        """Whether this person may move that person's camera, where the role may at all. Closed: no."""
        return True

    async def document_policy(self, request: DocumentRequest) -> bool:
        """Whether this person may send, or be handed, that document, where the role may at all. Closed: no."""
        return True

    async def still_consent(self, request: StillRequest) -> bool:
        """Whether someone may be asked for a still, who is asked then and may refuse. Closed: no."""
        return True

    async def recording_consent(self, request: RecordingRequest) -> bool:
        """Whether a consult may be recorded, to which everybody in it has to agree then. Closed: no."""
        return True

    async def waiting_content(self, request: WaitingRequest) -> WaitingContent:
        """What someone who waits is shown. Closed: nothing."""
        return WaitingContent()

    async def attest(self, request: AttestRequest) -> PolicyResult | None:
        """What the host's dated policy says of an ended consult, before it is signed. Closed: None, nothing."""
        return None

    async def degrade(self, request: DegradeRequest) -> DegradeAnswer:
        """
        What is given up on a line that does not carry everything: usual (the allocator's order), keep (the picture to
        the last) or audio_only. Closed: usual.
        """
        return "usual"

    # ---------------------------------------------------------------- events

    async def on_state(self, event: StateEvent) -> None:
        """A consult changed its state."""
        return

    async def on_person(self, event: PersonEvent) -> None:
        """Someone came, was cut off, came back or left; at a consult's door, was let in or turned away."""
        return

    async def on_timer(self, event: TimerEvent) -> None:
        """A consult's timer was set, or fired: no-show, overrun, a deadline of the host's."""
        return

    async def on_document(self, event: DocumentEvent) -> None:
        """A document is here as a whole."""
        return

    async def on_still(self, event: StillEvent) -> None:
        """A still was asked for, allowed or refused, or is here."""
        return

    async def on_expertise(self, event: ExpertiseEvent) -> None:
        """A request for expertise was made, accepted, answered; fell due; or went live."""
        return

    async def on_fact(self, event: FactEvent) -> None:
        """Anything else that a consult's journal holds."""
        return

    async def on_presence(self, event: PresenceEvent) -> None:
        """Someone is at a desk, or no longer."""
        return

    async def on_quality(self, event: QualityEvent) -> None:
        """The call is better or worse than it was for somebody."""
        return

    async def on_measurement(self, event: MeasurementEvent) -> None:
        """
        Somebody's device measured. Return when it is where it is not lost: its sender forgets it then. Where this is
        overridden, measurements are taken without anybody being in the room to receive them.
        """
        return

    async def on_end(self, event: EndEvent) -> None:
        """A room ended: its last event. A consult is over."""
        return


class NoHooks(Hooks):
    """Everyone with a token may join; nobody is told."""


HOOK_NAMES: frozenset[str] = frozenset(name for name in vars(Hooks) if not name.startswith("_"))

NEARLY = 0.9
"""Of difflib's ratio: a letter or two of one of these names is another, is missing or too many (`authorise_join`)."""


def overridden(hooks: Hooks | type[Hooks]) -> frozenset[str]:
    """The names of the hooks that an object, or all of a class, have a rule of their own for."""
    return frozenset(name for name in HOOK_NAMES if _is_own(getattr(hooks, name, None), name))


def check_names(hooks: object) -> None:
    """
    Raises ConfigError bad_hooks for a class in place of an object of it, and for a coroutine whose name is nearly that
    of a hook: nobody would ever call it, and what that rule is to forbid would be allowed.
    """
    if isinstance(hooks, type):
        raise ConfigError("bad_hooks", f"hooks must be an object of {hooks.__name__}, not the class")
    check_class(type(hooks))


def check_class(kind: type) -> None:
    """As check_names, of a class that an object is made of later."""
    for each in kind.__mro__:
        for name, value in vars(each).items():
            if name.startswith("_") or name in HOOK_NAMES or not inspect.iscoroutinefunction(value):
                continue
            if near := difflib.get_close_matches(name, HOOK_NAMES, 1, NEARLY):
                raise ConfigError("bad_hooks", f"{each.__name__}.{name} is no hook; did you mean {near[0]}?")


def _is_own(method: object, name: str) -> bool:
    return method is not None and getattr(method, "__func__", method) is not getattr(Hooks, name)
