"""Every error that the package raises on purpose: slug, title and HTTP status in one place.

The slug is the last part of the problem type (RFC 9457) and the name of its page in
``docs/problems/``: the name of the class, such as ``bad-settings``.
"""

from __future__ import annotations

import json
import re
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

    def __init_subclass__(cls) -> None:
        cls.slug = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def __init__(self, detail: str = "", **members: Any) -> None:
        self.detail = detail or self.always or self.title
        super().__init__(self.detail)
        self.members = {name: value for name, value in members.items() if value is not None}


class BadSettings(KgError):
    title, status = "The settings are not valid", 500


class MalformedQuery(KgError):
    title, status = "The query is not valid SPARQL", 400


class MalformedRequest(KgError):
    title, status = "The request is not valid", 400


class BadParameter(KgError):
    title, status = "A parameter is missing or wrong", 400


class AnsweredWrongly(KgError):
    title, status = "The engine would answer this wrongly", 400


class Refused(KgError):
    title, status = "This endpoint does not do that", 403


class NotFound(KgError):
    title, status = "There is nothing under this name", 404


class NotAllowed(KgError):
    title, status = "This address does not take that method", 405


class NotAcceptable(KgError):
    title, status = "None of the formats asked for can be given", 406


class TooLarge(KgError):
    title, status = "The request is too large", 413


class WrongMediaType(KgError):
    title, status = "The body has a media type that is not taken here", 415


class Unauthorized(KgError):
    title, status = "A token is needed, or the one sent is not valid", 401


class Forbidden(KgError):
    title, status = "The token's role does not allow this", 403


class TooManyRequests(KgError):
    """A client asks too often; member ``retry_after`` in seconds."""

    title, status = "This client asks too often", 429


class BrokenFile(KgError):
    """A file that cannot be taken as it is; members: ``file``, ``line``, ``column``."""

    title, status = "A file cannot be taken as it is", 422


class ShapesViolated(KgError):
    """Data that the shapes refuse; member ``report``: the validation report as plain values.

    Args:
        report: a `validation.Report`.
    """

    title, status = "The data do not fit the shapes", 422

    def __init__(self, detail: str, report: Any) -> None:
        super().__init__(detail, report=report.to_dict())
        self.report = report


class UndoConflict(KgError):
    """A change that cannot be taken back; member ``conflicts``: a sentence for each reason."""

    title, status = "Later changes stand in the way of the undo", 409


class DecisionStands(KgError):
    title, status = "A decision is never changed or removed", 409


class PreconditionFailed(KgError):
    """What If-Match or If-None-Match of a change demand does not hold; member ``version``: the published one."""

    title, status = "The graph is not in the state that the change is meant for", 412


class TimeLimit(KgError):
    title, status = "The query ran into the time limit", 503


class MemoryLimit(KgError):
    title, status = "The query ran into the memory limit", 503


class Busy(KgError):
    """Too many queries run or wait; member ``retry_after`` in seconds."""

    title, status = "Too many queries are running", 503


class SlowReader(KgError):
    """Answers wait to be read that fill the room for them; member ``retry_after`` in seconds."""

    title, status = "Too many answers wait to be read", 503


class Killed(KgError):
    title, status = "The query was stopped by an administrator", 503


class ClientGone(KgError):
    """Nobody is left to answer; no response is sent."""

    title, status = "The client closed the connection", 499


class EngineFault(KgError):
    title, status = "The query engine failed on this query", 503

    always = (
        "The engine has a fault that this query meets; the log has its words. ORDER BY over values of"
        " different kinds is known to be one: order by STR(?x) instead."
    )


class TooDeep(KgError):
    title, status = "The request is nested too deeply, or has too many parts", 400

    always = (
        "The engine cannot evaluate so many brackets in one another, or so many operands or patterns in one"
        " list (thousands). Use VALUES for many values, or send it in parts."
    )


class ReaderLost(KgError):
    title, status = "The process that answered the query ended", 503


class WriterLost(KgError):
    title, status = "The process that made the change ended", 503

    always = "Whether the change was made stands under /versions; if not, send it again."


class BeingRebuilt(KgError):
    """A pruned version that was asked for; members ``version`` and ``retry_after`` in seconds."""

    title, status = "This version is being made again from the change log", 503


class DiskFull(KgError):
    title, status = "There is no room left on the disk", 507


class StoreUnusable(KgError):
    title, status = "The store cannot be used", 503


def all_errors() -> list[type[KgError]]:
    """Return every error class, in order of its slug; the problem pages are checked against it."""
    return sorted((KgError, *KgError.__subclasses__()), key=lambda cls: cls.slug)


def to_plain(error: KgError) -> dict[str, Any]:
    """Write an error as plain values, for the process that asked; `from_plain` reads them."""
    members = json.loads(json.dumps(error.members, default=str))
    return {"problem": {"slug": error.slug, "detail": error.detail, "members": members}}


def from_plain(problem: dict[str, Any]) -> KgError:
    """Return the error that another process wrote, of the class that its slug names.

    Args:
        problem: what stands under ``problem``.
    """
    cls = {cls.slug: cls for cls in all_errors()}.get(problem["slug"], KgError)
    error = cls.__new__(cls)
    KgError.__init__(error, problem["detail"], **problem["members"])
    return error
