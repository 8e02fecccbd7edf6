"""A job of one of several servers, in a list of the jobs of all."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from ..client.model import JobInfo
from .node_handle import NodeHandle

if TYPE_CHECKING:
    from typing import Self


@dataclass(frozen=True)
class NodeJob(JobInfo):
    """It, with the name of its node."""

    node: str

    @property
    def node_handle(self) -> NodeHandle | None:
        """As commands take it; None for a job that this role may not cancel."""
        return None if self.cookie is None else NodeHandle(self.node, self.pid, self.cookie)

    @classmethod
    def of(cls, node: str, job: JobInfo) -> Self:
        """Return a job of a node's list."""
        return cls(**{field.name: getattr(job, field.name) for field in fields(JobInfo)}, node=node)
