"""Language models: llama.cpp in process or any OpenAI-compatible server, one role each. Nothing loads at import."""

from setpoint.llm.grammar import words_grammar
from setpoint.llm.roles import BUNDLED, RoleModel, load_role
from setpoint.llm.words import PromptText, Words

__all__ = ["BUNDLED", "PromptText", "RoleModel", "Words", "load_role", "words_grammar"]
