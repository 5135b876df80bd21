"""One instance of a served model: which model, on what, split how, with which engine limits."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from plant.closed import Closed
from plant.hardware.gpus import Dtype, Gpu
from plant.hardware.models import Model
from plant.units import Bytes, PerUnit

Engine = Literal["vllm", "sglang", "trtllm"]
Role = Literal["both", "prefill", "decode"]


class EngineSetup(Closed):
    """How an instance is split over accelerators, and the limits of its engine: what a pool says in a site file and
    what one instance runs with."""

    tp: int = Field(1, ge=1)
    """Tensor parallel ways: every layer is split over so many accelerators."""
    pp: int = Field(1, ge=1)
    """Pipeline stages."""
    dp: int = Field(1, ge=1)
    """Attention data parallel ways inside the instance (MoE); plain replicas are counted by the pool."""
    ep: int = Field(1, ge=1)
    """Accelerators that the experts are spread over."""
    weights: Dtype = "bf16"
    kv: Dtype = "bf16"
    engine: Engine = "vllm"
    max_batch: int = Field(256, ge=1)
    """Sequences in one step (vLLM: max_num_seqs)."""
    chunk_tokens: int = Field(2048, ge=1)
    """Token budget of one step (vLLM: max_num_batched_tokens)."""
    max_len: int = Field(8192, ge=1)
    """Longest sequence the engine admits, prompt and answer."""
    block_tokens: int = Field(16, ge=1)
    memory_share: PerUnit = Field(0.9, gt=0, le=1)
    """Share of accelerator memory the engine may take (vLLM: gpu_memory_utilization)."""
    swap_bytes: Bytes = Field(64e9, ge=0)
    """CPU memory of one instance that holds swapped-out cache."""
    prefix_sharing: bool = True


class Deployment(EngineSetup):
    """An instance occupies tp * pp * dp accelerators."""

    model: Model
    gpu: Gpu
    role: Role = "both"

    @property
    def gpus(self) -> int:
        """Accelerators one instance occupies."""
        return self.tp * self.pp * self.dp
