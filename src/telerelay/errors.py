"""
What can go wrong, and whose fault it is.

Every error has a `code`: stable, snake_case, safe to show to anyone; `str(error)` is a sentence for people. Neither
ever holds a token, a key, SDP or anything about a person. `docs/signaling.md` lists the codes.
"""

STATUS_BY_CODE: dict[str, int] = {
    "bad_message": 400,
    "bad_sdp": 400,
    "unauthorized": 401,
    "token_expired": 401,
    "forbidden": 403,
    "denied": 403,
    "no_consent": 403,
    "camera_refused": 403,
    "too_early": 403,
    "too_late": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "no_common_codec": 406,
    "busy": 409,
    "conflict": 409,
    "wrong_offset": 409,
    "too_many_documents": 409,
    "duplicate_join": 409,
    "consult_over": 410,
    "precondition_failed": 412,
    "too_large": 413,
    "unsupported_media_type": 415,
    "range_not_satisfiable": 416,
    "unsupported_sdp": 422,
    "type_not_allowed": 422,
    "unknown_series": 422,
    "camera_unsupported": 422,
    "camera_failed": 422,
    "precondition_required": 428,
    "too_many_requests": 429,
    "too_many_series": 429,
    "wrong_hash": 460,
    "internal": 500,
    "room_full": 503,
    "draining": 503,
    "not_durable": 503,
    "no_capacity": 503,
    "not_taken": 503,
    "camera_timeout": 504,
    "storage_full": 507,
    "storage_failed": 507,
}
"""The HTTP status each code of a RemoteProtocolError maps to (RFC 9110, 15; 460 is of tus)."""


class TelerelayError(Exception):
    """The root of all errors the library raises on purpose."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LocalProtocolError(TelerelayError):
    """The application used us wrongly: a bug on this side."""


class RemoteProtocolError(TelerelayError):
    """The peer did something wrong, or may not do it. `status` is the HTTP status it maps to."""

    def __init__(self, code: str, message: str, *, status: int | None = None) -> None:
        super().__init__(code, message)
        self.status = STATUS_BY_CODE.get(code, 400) if status is None else status


class ConfigError(TelerelayError):
    """The configuration, a flag or a file it names is wrong; the message is one line and says which."""


class NativeError(TelerelayError):
    """The data plane refused: `status` is its tr_status, negative. Never the peer's fault by itself."""

    _NOT_FOUND = -4  # TR_ERR_NOT_FOUND; this module cannot import the border

    def __init__(self, status: int, message: str, *, code: str = "native") -> None:
        super().__init__(code, message)
        self.status = status

    @property
    def is_not_found(self) -> bool:
        """There is no such transport, receiver or sender on the worker."""
        return self.status == self._NOT_FOUND
