"""LangChain chat model over llama.cpp in process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from setpoint.errors import ModelFailed
from setpoint.llm.engine import Answer, Engine, Request
from setpoint.llm.structured import Schema, json_grammar, json_schema_of

_ROLES = {"system": "system", "human": "user", "ai": "assistant"}


class LlamaChat(BaseChatModel):
    """A GGUF model behind LangChain's interface.

    Call-time options, as keywords of invoke, stream and bind: `grammar` (GBNF, root rule `root`), `max_tokens`,
    `temperature`, `seed`, `timeout_s`, `stop`. Raises ModelMissing and ModelFailed.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    path: Path
    context_tokens: int = 2048
    max_tokens: int = 160
    """Of the answer."""
    threads: int = 1
    timeout_s: float = 20.0
    """From the call to the whole answer, waiting for the model's turn included."""
    temperature: float = 0.0
    remedy: str = ""
    """What to do where the file is missing or broken."""
    _engine: Engine = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._engine = Engine(
            self.path, context_tokens=self.context_tokens, threads=self.threads, remedy=self.remedy
        )

    @property
    def _llm_type(self) -> str:
        return "llama.cpp"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"path": str(self.path), "context_tokens": self.context_tokens, "max_tokens": self.max_tokens}

    def load(self) -> None:
        """Load the file now. Raises ModelMissing."""
        self._engine.load()

    def close(self) -> None:
        """Free the model's memory."""
        self._engine.close()

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        job = self._engine.submit(self._request(messages, stop, options), self._timeout_s(options))
        return _result(job.answer.result(), self.path.stem)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        job = self._engine.submit(self._request(messages, stop, options), self._timeout_s(options))
        try:
            answer = await asyncio.shield(asyncio.wrap_future(job.answer))
        except asyncio.CancelledError:
            self._engine.cancel(job)
            raise
        return _result(answer, self.path.stem)

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> Iterator[ChatGenerationChunk]:
        job = self._engine.submit(self._request(messages, stop, options), self._timeout_s(options))
        try:
            for piece in job.stream():
                if run_manager:
                    run_manager.on_llm_new_token(piece)
                yield ChatGenerationChunk(message=AIMessageChunk(content=piece))
            answer = job.answer.result()
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    content="",
                    usage_metadata=_usage(answer),
                    response_metadata={"finish_reason": answer.finish, "model_name": self.path.stem},
                )
            )
        finally:
            if not job.answer.done():
                self._engine.cancel(job)

    def with_structured_output(
        self, schema: Schema | type, *, include_raw: bool = False, **kwargs: Any
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """JSON bound by a grammar of `schema`, parsed; every field must be bounded (UsageError otherwise)."""
        bound = self.bind(grammar=json_grammar(json_schema_of(schema)), **kwargs)

        def parse(message: BaseMessage) -> Any:
            return _parsed(message, schema, self.path)

        if not include_raw:
            return bound | RunnableLambda(parse)
        return {"raw": bound} | RunnablePassthrough.assign(
            parsed=lambda found: parse(found["raw"]), parsing_error=lambda _: None
        )

    def _timeout_s(self, options: dict[str, Any]) -> float:
        return float(options.get("timeout_s", self.timeout_s))

    def _request(
        self, messages: list[BaseMessage], stop: list[str] | None, options: dict[str, Any]
    ) -> Request:
        return Request(
            messages=tuple((_role(message), message.text) for message in messages),
            max_tokens=int(options.get("max_tokens", self.max_tokens)),
            grammar=str(options.get("grammar", "")),
            temperature=float(options.get("temperature", self.temperature)),
            seed=int(options.get("seed", 0)),
            stop=tuple(stop or ()),
        )


def _role(message: BaseMessage) -> str:
    if message.type not in _ROLES:
        raise ModelFailed(
            f"a local model takes no {message.type!r} message", remedy="Use a server for tool calling"
        )
    return _ROLES[message.type]


def _usage(answer: Answer) -> UsageMetadata:
    return UsageMetadata(
        input_tokens=answer.prompt_tokens,
        output_tokens=answer.answer_tokens,
        total_tokens=answer.prompt_tokens + answer.answer_tokens,
        input_token_details={"cache_read": answer.reused_tokens},
    )


def _result(answer: Answer, model_name: str) -> ChatResult:
    message = AIMessage(
        content=answer.text,
        usage_metadata=_usage(answer),
        response_metadata={"finish_reason": answer.finish, "model_name": model_name},
    )
    return ChatResult(generations=[ChatGeneration(message=message)])


def _parsed(message: BaseMessage, schema: Schema | type, path: Path) -> Any:
    try:
        if isinstance(schema, type) and issubclass(schema, BaseModel):
            return schema.model_validate_json(message.text)
        return json.loads(message.text)
    except (ValidationError, json.JSONDecodeError) as error:
        cut = message.response_metadata.get("finish_reason") == "length"
        remedy = "Raise max_tokens of this role" if cut else ""
        raise ModelFailed("the model's JSON cannot be read", where=str(path), remedy=remedy) from error
