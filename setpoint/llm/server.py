"""Any OpenAI-compatible server as a chat model: retries within the deadline, and errors that say what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from tenacity import (
    AsyncRetrying,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from setpoint.errors import ModelFailed, ModelMissing

_PASSING = (openai.APIConnectionError, openai.RateLimitError, openai.InternalServerError)
ATTEMPTS = 3


class ServerChat(ChatOpenAI):
    """ChatOpenAI whose failures are ModelMissing (address, name or key is wrong) or ModelFailed (it broke)."""

    deadline_s: float = 20.0
    """For one call with all its attempts."""

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        with self._explained():
            for attempt in Retrying(**_policy(self.deadline_s)):
                with attempt:
                    return super()._generate(messages, stop, run_manager, **options)
        raise AssertionError("tenacity re-raises the last failure")

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **options: Any,
    ) -> ChatResult:
        with self._explained():
            async for attempt in AsyncRetrying(**_policy(self.deadline_s)):
                with attempt:
                    return await super()._agenerate(messages, stop, run_manager, **options)
        raise AssertionError("tenacity re-raises the last failure")

    def _stream(self, *args: Any, **options: Any) -> Iterator[Any]:
        with self._explained():
            yield from super()._stream(*args, **options)

    async def _astream(self, *args: Any, **options: Any) -> AsyncIterator[Any]:
        with self._explained():
            async for chunk in super()._astream(*args, **options):
                yield chunk

    @contextmanager
    def _explained(self) -> Iterator[None]:
        where = str(self.openai_api_base)
        try:
            yield
        except openai.APITimeoutError as error:
            raise ModelFailed(f"no answer within {self.deadline_s:g} s", where=where) from error
        except openai.APIConnectionError as error:
            remedy = "Start the server or correct the role's url"
            raise ModelMissing("no model server answers", where=where, remedy=remedy) from error
        except (openai.AuthenticationError, openai.PermissionDeniedError) as error:
            remedy = "Set the variable named by the role's api_key_env"
            raise ModelMissing("the server refuses the key", where=where, remedy=remedy) from error
        except openai.NotFoundError as error:
            remedy = "Correct the role's model or url"
            raise ModelMissing(
                f"the server has no model {self.model_name!r}", where=where, remedy=remedy
            ) from error
        except openai.APIError as error:
            raise ModelFailed(f"the server answered: {error.message}", where=where) from error


def _policy(deadline_s: float) -> dict[str, Any]:
    return {
        "reraise": True,
        "stop": stop_after_attempt(ATTEMPTS) | stop_after_delay(deadline_s),
        "wait": wait_exponential(multiplier=0.1, max=2.0) + wait_random(0.0, 0.1),
        "retry": retry_if_exception_type(_PASSING),
    }
