"""The filter: which jobs have all of some words in what is known of them."""

from __future__ import annotations

from ..client.model import JobInfo
from ..display import node, state


def matches(job: JobInfo, text: str) -> bool:
    """Tell whether each word is somewhere in the job, in upper or lower case."""
    known = (
        *(node(job), str(job.pid), job.state, state(job), job.label, job.role, job.database),
        *(
            job.sql_preview,
            job.error_message,
            job.sqlstate,
            job.progress_msg,
            job.wait_event_type,
            job.wait_event,
        ),
    )
    there = "\n".join(value for value in known if value).casefold()
    return all(word in there for word in text.casefold().split())
