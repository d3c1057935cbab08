"""``python -m frtune.board.worker FOLDER [JOB]``: runs a job, or all that wait, one at a time.

It is a process of its own, so that the queue goes on when the board is killed.
"""

from __future__ import annotations

import sys
import time

from frtune.board.folder import BoardFolder
from frtune.board.jobs import Job, Jobs
from frtune.errors import InputError
from frtune.files import locked


def work(folder: str, name: str | None = None) -> None:
    """Run one job, or those that wait, until none does."""
    jobs = Jobs(BoardFolder(folder))
    if name is not None:
        job = jobs.find(name)
        if job is not None and job.state == "queued":
            jobs.run(job)
        return
    try:
        with locked(jobs.queue):
            while job := _next(jobs):
                jobs.run(job)
    except InputError:  # another one is at work
        return


def _next(jobs: Jobs) -> Job | None:
    """The job whose turn it is, once none of the queue runs; ``None`` where none waits."""
    while True:
        queued = [job for job in jobs.all() if job.queued]
        waiting = next((job for job in queued if job.state == "queued"), None)
        # one may have outlived the worker that started it
        if waiting is None or not any(job.state == "running" for job in queued):
            return waiting
        time.sleep(0.5)


if __name__ == "__main__":
    work(*sys.argv[1:3])
