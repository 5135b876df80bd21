"""One llama.cpp context, touched by one thread of low priority and by nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import queue
import re
import threading
import time
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from setpoint.errors import ModelFailed, ModelMissing
from setpoint.llm.deadline import Deadline, StopMark, strlen_address

T = TypeVar("T")
NICENESS = 10
"""Model threads yield to the alert path; llama.cpp's own threads inherit it."""
_MAGIC = b"GGUF"
_log = logging.getLogger("setpoint.llm")
_setup = threading.Lock()
_keep: list[Any] = []


@dataclass(frozen=True)
class Request:
    """One generation asked for."""

    messages: tuple[tuple[str, str], ...]
    """(role, content) in ChatML's sense."""
    max_tokens: int
    grammar: str = ""
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Answer:
    text: str
    prompt_tokens: int
    reused_tokens: int
    """Leading prompt tokens whose state was still there from the call before."""
    answer_tokens: int
    finish: str
    """"stop", or "length" where max_tokens or the context ended it."""


@dataclass
class Job:
    """A request on its way: pieces as they come, then the answer or a ModelFailed."""

    request: Request
    deadline: Deadline
    pieces: queue.SimpleQueue[str | None] = field(default_factory=queue.SimpleQueue)
    answer: Future[Answer] = field(default_factory=Future)

    def finish(self, result: Answer | Exception) -> None:
        """The first end counts; a later one is dropped."""
        with contextlib.suppress(InvalidStateError):
            if isinstance(result, Exception):
                self.answer.set_exception(result)
            else:
                self.answer.set_result(result)
        self.pieces.put(None)

    def stream(self) -> Iterator[str]:
        """Pieces until the end. Raises ModelFailed where the job failed."""
        while (piece := self.pieces.get()) is not None:
            yield piece
        self.answer.result()


class Engine:
    """Loads at first use. Requests are served in order; a request that waits past its deadline fails at once."""

    def __init__(self, path: Path, *, context_tokens: int, threads: int, remedy: str = "") -> None:
        self.path, self._context_tokens, self._threads, self._remedy = path, context_tokens, threads, remedy
        self._llama: Any = None
        self._formatter: Any = None
        self._control: re.Pattern[str] | None = None
        self._mark = StopMark()
        self._turn = threading.Lock()
        self._current: Job | None = None
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="setpoint-model", initializer=_yield_priority)

    def submit(self, request: Request, timeout_s: float) -> Job:
        """Queue a request. It ends, one way or the other, within `timeout_s` from now."""
        job = Job(request, Deadline(timeout_s))
        watch = threading.Timer(timeout_s, self._expire, (job,))
        watch.daemon = True
        job.answer.add_done_callback(lambda _: watch.cancel())
        watch.start()
        self._worker.submit(self._serve, job)
        return job

    def cancel(self, job: Job) -> None:
        """Nobody waits for it any more."""
        self._end(job, "the call was cancelled")

    def load(self) -> None:
        """Load now instead of at the first request. Raises ModelMissing."""
        self._worker.submit(self._load).result()

    def measure(self, work: Callable[[Any, list[int]], T], messages: tuple[tuple[str, str], ...]) -> T:
        """Have `work` use the binding's model and the prompt's tokens on this engine's own thread, so that what is
        measured runs at the priority of what it is held against. Raises ModelMissing."""

        def run() -> T:
            self._load()
            return work(self._llama, self._prompt(messages))

        return self._worker.submit(run).result()

    def close(self) -> None:
        """Wait for the running request and free the model."""
        self._worker.submit(self._free).result()
        self._worker.shutdown()

    def _expire(self, job: Job) -> None:
        self._end(job, f"the model did not answer within {job.deadline.seconds:g} s")

    def _end(self, job: Job, why: str) -> None:
        job.deadline.cancel()
        with self._turn:
            if self._current is job:
                self._mark.set()
        job.finish(ModelFailed(why, where=str(self.path)))

    def _serve(self, job: Job) -> None:
        if job.deadline.over:
            return
        with self._turn:
            self._current = job
            self._mark.clear()
        try:
            self._load()
            job.finish(self._generate(job))
        except (ModelMissing, ModelFailed) as error:
            job.finish(error)
        except Exception as error:
            # llama.cpp's binding raises bare RuntimeError and ValueError; its state is unknown afterwards.
            self._forget()
            job.finish(ModelFailed(f"the model run broke: {error}", where=str(self.path)))

    def _load(self) -> None:
        if self._llama is None:
            check_gguf(self.path, self._remedy)
            self._llama = _open(self.path, self._context_tokens, self._threads, self._remedy)
            self._formatter = _chat_formatter(self._llama, self.path)
            self._control = _control_texts(self._llama)
            _watch(self._llama, self._mark)

    def _forget(self) -> None:
        if self._llama is not None:
            self._llama.reset()

    def _free(self) -> None:
        if self._llama is not None:
            self._llama.close()
            self._llama = None

    def _prompt(self, messages: tuple[tuple[str, str], ...]) -> list[int]:
        plain = [{"role": role, "content": self._harmless(content)} for role, content in messages]
        text = self._formatter(messages=plain).prompt
        tokens: list[int] = self._llama.tokenize(text.encode(), add_bos=False, special=True)
        return tokens

    def _harmless(self, content: str) -> str:
        # Text of the site must not open a turn of its own: control tokens written out in it are broken up.
        while self._control and self._control.search(content):
            content = self._control.sub(lambda found: f"{found[0][0]} {found[0][1:]}", content)
        return content

    def _generate(self, job: Job) -> Answer:
        request, llama = job.request, self._llama
        prompt = self._prompt(request.messages)
        room = min(llama.n_ctx(), llama._model.n_ctx_train()) - len(prompt)
        if room < 1:
            raise ModelFailed(
                f"the prompt has {len(prompt)} tokens, the model's context holds {room + len(prompt)}",
                where=str(self.path),
                remedy="Raise context_tokens of this role or choose a model with a longer context",
            )
        reused = llama.longest_token_prefix(llama._input_ids.tolist(), prompt)
        llama.set_seed(request.seed)
        text, count, finish = "", 0, "length"
        decoder = getincrementaldecoder("utf-8")("replace")
        for token in llama.generate(
            prompt, temp=request.temperature, grammar=self._grammar(request.grammar), repeat_penalty=1.0
        ):
            if job.deadline.over:
                self._forget()
                raise ModelFailed(
                    f"the model did not finish within {job.deadline.seconds:g} s", where=str(self.path)
                )
            if _ends(llama, token):
                finish = "stop"
                break
            piece = decoder.decode(llama.detokenize([token]))
            text, count = text + piece, count + 1
            if found := next((mark for mark in request.stop if mark in text), None):
                text, finish = text[: text.index(found)], "stop"
                break
            job.pieces.put(piece)
            if count >= min(request.max_tokens, room):
                break
        return Answer(text, len(prompt), reused, count, finish)

    def _grammar(self, text: str) -> Any:
        if not text:
            return None
        from llama_cpp import llama_cpp
        from llama_cpp.llama_grammar import LlamaGrammar

        # The binding adds an unparsable grammar as a null pointer and crashes on it: try it first.
        sampler = llama_cpp.llama_sampler_init_grammar(self._llama._model.vocab, text.encode(), b"root")
        if not sampler:
            raise ModelFailed("the grammar does not compile", where=str(self.path))
        llama_cpp.llama_sampler_free(sampler)
        return LlamaGrammar.from_string(text, verbose=False)


def check_gguf(path: Path, remedy: str) -> None:
    """Raises ModelMissing where the file is absent or plainly no GGUF."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
    except OSError as error:
        raise ModelMissing(
            f"cannot read the model file: {error.strerror}", where=str(path), remedy=remedy
        ) from error
    if magic != _MAGIC:
        raise ModelMissing("this file is not a GGUF model", where=str(path), remedy=remedy)


def file_sha256(path: Path) -> str:
    """Hash of a model file, for feedback and reports. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _yield_priority() -> None:
    with contextlib.suppress(AttributeError, OSError):
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def _open(path: Path, context_tokens: int, threads: int, remedy: str) -> Any:
    with _setup:
        load_library()
        from llama_cpp import Llama

        started = time.monotonic()
        try:
            llama = Llama(
                str(path),
                n_ctx=context_tokens,
                n_batch=min(512, context_tokens),
                n_threads=threads,
                # Not setting it takes every core and spins on them.
                n_threads_batch=threads,
                verbose=False,
            )
        except (ValueError, RuntimeError) as error:
            raise ModelMissing(
                f"llama.cpp cannot load it: {error}", where=str(path), remedy=remedy
            ) from error
        _log.info("loaded %s in %.2f s", path, time.monotonic() - started)
        return llama


def load_library() -> None:
    """llama.cpp, once a process, before the first model: logging through Python, and hands off the terminal."""
    if _keep:
        return
    import llama_cpp
    from llama_cpp import _internals, llama

    # While it loads, the quiet mode of the binding points the whole process's stdout and stderr at /dev/null;
    # a notice printed in that moment would be lost.
    vars(_internals)["suppress_stdout_stderr"] = _leave_output_alone
    vars(llama)["suppress_stdout_stderr"] = _leave_output_alone

    @llama_cpp.llama_log_callback  # type: ignore[untyped-decorator]
    def forward(_level: int, text: bytes, _data: Any) -> None:
        _log.debug("%s", text.decode(errors="replace").rstrip())

    llama_cpp.llama_log_set(forward, None)
    _keep.append(forward)


def _leave_output_alone(disable: bool = True) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


def _chat_formatter(llama: Any, path: Path) -> Any:
    from llama_cpp.llama_chat_format import Jinja2ChatFormatter

    template = llama.metadata.get("tokenizer.chat_template")
    if not template:
        raise ModelMissing(
            "the model carries no chat template", where=str(path), remedy="Use an instruction-tuned GGUF"
        )
    bos, eos = llama.token_bos(), llama.token_eos()
    text_of = llama._model.token_get_text
    return Jinja2ChatFormatter(
        template=template,
        bos_token=text_of(bos) if bos != -1 else "",
        eos_token=text_of(eos) if eos != -1 else "",
    )


def _control_texts(llama: Any) -> re.Pattern[str] | None:
    """Pattern over the vocabulary's control tokens as they are written."""
    from llama_cpp import llama_cpp

    model = llama._model
    texts = [
        model.token_get_text(token)
        for token in range(llama.n_vocab())
        if llama_cpp.llama_vocab_get_attr(model.vocab, token) & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
    ]
    wide = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, wide))) if wide else None


def _watch(llama: Any, mark: StopMark) -> None:
    import ctypes

    from llama_cpp import llama_cpp

    with contextlib.suppress(AttributeError, OSError):
        callback = ctypes.cast(strlen_address(), llama_cpp.ggml_abort_callback)
        llama_cpp.llama_set_abort_callback(llama.ctx, callback, ctypes.c_void_p(mark.address))


def _ends(llama: Any, token: int) -> bool:
    from llama_cpp import llama_cpp

    return bool(llama_cpp.llama_vocab_is_eog(llama._model.vocab, token))
