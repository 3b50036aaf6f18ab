"""Every error that the package raises on purpose: slug, title and HTTP status in one place.

The slug is the last part of the problem type (RFC 9457) and the name of its page in
``docs/problems/``.
"""

from __future__ import annotations

import json
from typing import Any


class KgError(Exception):
    """Base of all our errors.

    Args:
        detail: what happened and what to do about it, for a person; by default what is always so.
        members: further members of the problem document, such as ``line``.
    """

    slug = "internal"
    title = "Something went wrong on our side"
    status = 500
    always = ""

    def __init__(self, detail: str = "", **members: Any) -> None:
        self.detail = detail or self.always or self.title
        super().__init__(self.detail)
        self.members = {name: value for name, value in members.items() if value is not None}


class BadSettings(KgError):
    slug, title, status = "bad-settings", "The settings are not valid", 500


class MalformedQuery(KgError):
    slug, title, status = "malformed-query", "The query is not valid SPARQL", 400


class MalformedRequest(KgError):
    slug, title, status = "malformed-request", "The request is not valid", 400


class BadParameter(KgError):
    slug, title, status = "bad-parameter", "A parameter is missing or wrong", 400


class AnsweredWrongly(KgError):
    slug, title, status = "answered-wrongly", "The engine would answer this wrongly", 400


class Refused(KgError):
    slug, title, status = "refused", "This endpoint does not do that", 403


class NotFound(KgError):
    slug, title, status = "not-found", "There is nothing under this name", 404


class NotAllowed(KgError):
    slug, title, status = "not-allowed", "This address does not take that method", 405


class NotAcceptable(KgError):
    slug, title, status = "not-acceptable", "None of the formats asked for can be given", 406


class TooLarge(KgError):
    slug, title, status = "too-large", "The request is too large", 413


class WrongMediaType(KgError):
    slug, title, status = (
        "wrong-media-type",
        "The body has a media type that is not taken here",
        415,
    )


class Unauthorized(KgError):
    slug, title, status = "unauthorized", "A token is needed, or the one sent is not valid", 401


class Forbidden(KgError):
    slug, title, status = "forbidden", "The token's role does not allow this", 403


class TooManyRequests(KgError):
    """A client asks too often; member ``retry_after`` in seconds."""

    slug, title, status = "too-many-requests", "This client asks too often", 429


class BrokenFile(KgError):
    """A file that cannot be taken as it is; members: ``file``, ``line``, ``column``."""

    slug, title, status = "broken-file", "A file cannot be taken as it is", 422


class ShapesViolated(KgError):
    """Data that the shapes refuse; member ``report``: the validation report as plain values.

    Args:
        report: a `validation.Report`.
    """

    slug, title, status = "shapes-violated", "The data do not fit the shapes", 422

    def __init__(self, detail: str, report: Any) -> None:
        super().__init__(detail, report=report.to_dict())
        self.report = report


class UndoConflict(KgError):
    """A change that cannot be taken back; member ``conflicts``: a sentence for each reason."""

    slug, title, status = "undo-conflict", "Later changes stand in the way of the undo", 409


class DecisionStands(KgError):
    slug, title, status = "decision-stands", "A decision is never changed or removed", 409


class PreconditionFailed(KgError):
    """What If-Match or If-None-Match of a change demand does not hold; member ``version``: the published one."""

    slug, title, status = (
        "precondition-failed",
        "The graph is not in the state that the change is meant for",
        412,
    )


class TimeLimit(KgError):
    slug, title, status = "time-limit", "The query ran into the time limit", 503


class MemoryLimit(KgError):
    slug, title, status = "memory-limit", "The query ran into the memory limit", 503


class Busy(KgError):
    """Too many queries run or wait; member ``retry_after`` in seconds."""

    slug, title, status = "busy", "Too many queries are running", 503


class SlowReader(KgError):
    """Answers wait to be read that fill the room for them; member ``retry_after`` in seconds."""

    slug, title, status = "slow-reader", "Too many answers wait to be read", 503


class Killed(KgError):
    slug, title, status = "killed", "The query was stopped by an administrator", 503


class ClientGone(KgError):
    """Nobody is left to answer; no response is sent."""

    slug, title, status = "client-gone", "The client closed the connection", 499


class EngineFault(KgError):
    slug, title, status = "engine-fault", "The query engine failed on this query", 503

    always = (
        "The engine has a fault that this query meets; the log has its words. ORDER BY over values of"
        " different kinds is known to be one: order by STR(?x) instead."
    )


class TooDeep(KgError):
    slug, title, status = "too-deep", "The request is nested too deeply, or has too many parts", 400

    always = (
        "The engine cannot evaluate so many brackets in one another, or so many operands or patterns in one"
        " list (thousands). Use VALUES for many values, or send it in parts."
    )


class ReaderLost(KgError):
    slug, title, status = "reader-lost", "The process that answered the query ended", 503


class WriterLost(KgError):
    slug, title, status = "writer-lost", "The process that made the change ended", 503

    always = "Whether the change was made stands under /versions; if not, send it again."


class BeingRebuilt(KgError):
    """A pruned version that was asked for; members ``version`` and ``retry_after`` in seconds."""

    slug, title, status = (
        "being-rebuilt",
        "This version is being made again from the change log",
        503,
    )


class DiskFull(KgError):
    slug, title, status = "disk-full", "There is no room left on the disk", 507


class StoreUnusable(KgError):
    slug, title, status = "store-unusable", "The store cannot be used", 503


def all_errors() -> list[type[KgError]]:
    """Every concrete error class, in order of its slug; the problem pages are checked against it."""
    found: list[type[KgError]] = []
    waiting = [KgError]
    while waiting:
        cls = waiting.pop()
        found.append(cls)
        waiting += cls.__subclasses__()
    return sorted(found, key=lambda cls: cls.slug)


def to_plain(error: KgError) -> dict[str, Any]:
    """Write an error as plain values, for the process that asked; `from_plain` reads them."""
    members = json.loads(json.dumps(error.members, default=str))
    return {"problem": {"slug": error.slug, "detail": error.detail, "members": members}}


def from_plain(told: dict[str, Any]) -> KgError:
    """Make the error that another process wrote, of the class that its slug names.

    Args:
        told: what stands under ``problem``.
    """
    made = {cls.slug: cls for cls in all_errors()}.get(told["slug"], KgError)
    error = made.__new__(made)
    KgError.__init__(error, told["detail"], **told["members"])
    return error
