"""Where work is done that is cut into tasks: in processes of this machine, or on the machines of a Ray cluster."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from tdseg.errors import ConfigError, TdsegError, WorkerError, first_line
from tdseg.runtime.network import Execution
from tdseg.system import missing_package

TASK_MEMORY = 2 << 30
"""What a task on a cluster asks for, bytes."""
ANSWER_S = 10.0
"""How long the address of a cluster may take to answer, seconds."""


@dataclass(frozen=True)
class Distribution:
    """On how many processes work is distributed, and where.

    Attributes:
        workers: Processes that share the work; a video that can be entered anywhere is cut for them, with the same
            masks. On a cluster by default as many as it has room for.
        ray: Address of a Ray cluster that does the work; auto for the one that this machine belongs to, local for
            one that is started here. Videos and results must be on storage that all its machines share.
    """

    workers: int | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and not 1 <= self.workers <= 4096:
            raise ConfigError(f"workers {self.workers}", expected="1 … 4096", do="choose another --workers")

    @property
    def is_alone(self) -> bool:
        """All is done in this process."""
        return self.ray is None and (self.workers or 1) == 1


class Crew(NamedTuple):
    """Processes that do tasks."""

    workers: int
    execution: Execution
    """For each of them."""
    start: Callable[..., Future[Any]]
    """From a function and its arguments to a task."""
    lost: tuple[type[Exception], ...]
    """What a task raises whose process is gone."""
    stop: Callable[[], None]
    """End the tasks that are under way."""

    def outcome(self, task: Future[Any]) -> Any:
        """What a task that has ended gives.

        Raises:
            TdsegError: that it raised; or WorkerError, where its process is gone.
        """
        try:
            value, error = task.result()
        except self.lost as lost:
            raise WorkerError(
                "a process that did its share of the work is gone; the system may have killed it for want of memory",
                expected="processes that live until their tasks are done",
                do="use fewer --workers; --resume goes on with what is done",
            ) from lost
        if error:
            raise error
        return value


@contextmanager
def hired(distribution: Distribution, execution: Execution) -> Iterator[Crew]:
    """The processes for tasks, until the end of this.

    Raises:
        ConfigError: Ray is not installed, or there is no such cluster.
    """
    if distribution.ray is not None:
        with _on_cluster(distribution, execution) as crew:
            yield crew
        return
    count = distribution.workers or 1
    threads = max(1, (execution.threads or os.cpu_count() or 1) // count)
    before, own = set(multiprocessing.active_children()), replace(execution, threads=threads)
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), initializer=_become_worker)

    def stop() -> None:
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()
        pool.shutdown(cancel_futures=True)

    try:
        yield Crew(count, own, lambda *task: pool.submit(_attempt, *task), (BrokenProcessPool,), stop)
    except BaseException:  # nobody waits for what is under way
        stop()
        raise
    finally:
        pool.shutdown()


def _attempt(function: Callable[..., Any], *arguments: Any) -> tuple[Any, TdsegError | None]:
    """Errors on purpose travel as values: pools and clusters wrap what is raised, each in its own way."""
    try:
        return function(*arguments), None
    except TdsegError as error:
        return None, error


def _become_worker() -> None:
    """A process of a pool leaves interrupts to its parent, and ends with it even if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _check_answers(address: str) -> None:
    """See to it that something is at the address of a cluster: Ray itself waits for minutes.

    Raises:
        ConfigError: nothing is.
    """
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not port.isdecimal():
        return  # auto, local
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"no Ray cluster answers at {address}: {first_line(error)}",
            expected="HOST:PORT of a cluster that runs, auto or local",
            do="start one with `ray start --head`, which prints its address, or give --ray local",
        ) from None


@contextmanager
def _on_cluster(distribution: Distribution, execution: Execution) -> Iterator[Crew]:
    try:
        import ray
    except ModuleNotFoundError as error:
        raise missing_package(error.name, "cluster") from None
    begun = not ray.is_initialized()
    if begun:
        _check_answers(distribution.ray or "auto")
        try:
            cpus = distribution.workers if distribution.ray == "local" else None
            ray.init(distribution.ray, num_cpus=cpus, log_to_driver=False, logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"Ray at {distribution.ray}: {first_line(error)}",
                expected="the address of a cluster that runs, auto or local",
                do="start one with `ray start --head`, or give --ray local",
            ) from error
    try:
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        threads = execution.threads or 1
        gpus = int(execution.device.startswith("cuda") or (execution.device == "auto" and "GPU" in resources))
        room = resources.get("GPU", 0) if gpus else resources.get("CPU", 1) // threads
        attempt = ray.remote(num_cpus=threads, num_gpus=gpus, memory=TASK_MEMORY, max_retries=3)(_attempt)

        tasks = list[Any]()

        def start(*task: Any) -> Future[Any]:
            tasks.append(attempt.remote(*task))
            future: Future[Any] = tasks[-1].future()
            return future

        def stop() -> None:
            for task in tasks:
                ray.cancel(task, force=True)
            ray.wait(tasks, num_returns=len(tasks))

        own, count = replace(execution, threads=threads), distribution.workers or max(1, int(room))
        errors = ray.exceptions
        lost = errors.WorkerCrashedError, errors.NodeDiedError, errors.OutOfMemoryError, errors.ObjectLostError
        yield Crew(count, own, start, lost, stop)
    finally:
        if begun:
            ray.shutdown()
