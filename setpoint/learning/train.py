"""One command from nothing to a bundled model: data, tokenizer, training, export, parity, score.

    python -m setpoint.learning.train --minutes 50 --out setpoint/llm/models/setpoint-small.gguf

It continues from the checkpoint of an interrupted run with the same work folder.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import torch
from tokenizers import Tokenizer

from setpoint.learning import parity
from setpoint.learning.corpus import data_hash
from setpoint.learning.curve import Line, curve_svg
from setpoint.learning.export import export
from setpoint.learning.model import Model, Shape
from setpoint.learning.score import score_all
from setpoint.learning.tokenizer import train_tokenizer
from setpoint.learning.training import Run, train
from setpoint.learning.warm_start import take_over


def main() -> None:
    """Runs the whole chain; prints progress and, at the end, the record."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    run = Run(
        seed=arguments.seed,
        minutes=arguments.minutes,
        data_hash=data_hash(),
        bf16=arguments.bf16,
        curriculum=arguments.curriculum,
    )
    tokenizer = _tokenizer(arguments.work, arguments.seed)
    torch.manual_seed(arguments.seed)
    model = Model(Shape(vocabulary=tokenizer.get_vocab_size()))
    if arguments.warm_start:
        run.warm_start = take_over(model, tokenizer, arguments.warm_start)
    train(run, tokenizer, arguments.work, model)
    export(model, tokenizer, run, arguments.out)
    record = {
        **asdict(run),
        "bytes": arguments.out.stat().st_size,
        "parity": asdict(parity.measure(model, tokenizer, arguments.out)),
        "score": [asdict(found) for found in score_all(arguments.out, arguments.each)],
    }
    arguments.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    arguments.out.with_suffix(".svg").write_text(picture(run), encoding="utf-8")
    print(json.dumps({key: value for key, value in record.items() if key != "curve"}, indent=1))


def picture(run: Run) -> str:
    """The curve of the run as SVG. The loss of the answers has a floor: which style comes next cannot be known."""
    points = [(tokens / 1e6, loss) for tokens, loss, _ in run.curve]
    return curve_svg(
        "Training of setpoint-small",
        "million tokens",
        "loss of the answers, nats a token",
        [Line("loss", points)],
    )


def _tokenizer(work: Path, seed: int) -> Tokenizer:
    """The run's tokenizer: a checkpoint is worth nothing without the one it was trained with."""
    path = work / "tokenizer.json"
    if not path.is_file():
        work.mkdir(parents=True, exist_ok=True)
        train_tokenizer(seed).save(str(path))
    tokenizer: Tokenizer = Tokenizer.from_file(str(path))
    return tokenizer


def bf16_is_native() -> bool:
    """Whether this CPU multiplies bfloat16 in hardware."""
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.is_file() and "avx512_bf16" in cpuinfo.read_text(encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m setpoint.learning.train", description="Train the bundled model."
    )
    parser.add_argument("--minutes", type=float, default=25.0, help="wall time of the training loop")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        help="GGUF to write; its record (.json) and curve (.svg) go beside it",
    )
    parser.add_argument(
        "--work", type=Path, default=Path("var/learning/small"), help="checkpoints and tokenizer"
    )
    parser.add_argument(
        "--warm-start", type=Path, help="work folder of an earlier run whose weights to begin with"
    )
    parser.add_argument("--curriculum", type=float, default=0.15, help="share of the time for dense copying")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--each", type=int, default=100, help="held-out answers scored for each task")
    parser.add_argument(
        "--bf16",
        action=argparse.BooleanOptionalAction,
        default=bf16_is_native(),
        help="bfloat16 products: faster only where the CPU has the instructions (found out by itself)",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
