"""Language models: llama.cpp in process or any OpenAI-compatible server, one role each. Nothing loads at import."""

from setpoint.llm.grammar import words_grammar
from setpoint.llm.registry import BUNDLED, Registry
from setpoint.llm.roles import RoleModel, load_role
from setpoint.llm.words import PromptText, Words

__all__ = ["BUNDLED", "PromptText", "Registry", "RoleModel", "Words", "load_role", "words_grammar"]
