"""Power of accelerators against measurements: the fit of its constants, their errors, and the law of power caps.

    python -m plant.validation.power --data ../shared/data/plant          errors, in sample and cross-validated
    python -m plant.validation.power --fit --data ../shared/data/plant    fits and writes plant/power/calibration.yaml

A row becomes phases: shares of time with their issued uses of arithmetic and memory (`plant.power.use`). They follow
from a rate of work, either the one measured in the row (`power_at_rate`: tests the power model alone) or the one the
cost model predicts (`power`: tests both). ML.ENERGY's `avg_power_watts` is that of all accelerators of a row (it is
its J/token times its tokens/s); rows are compared for one accelerator. Splitwise's powers are shares of TDP.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from plant.hardware.gpus import Gpu, gpu
from plant.power.gpu import (
    clock_under_cap_pu,
    gpu_power_w,
    power_coefficients,
    power_vector,
    stretch_at_clock,
)
from plant.power.use import issued_use, use_coefficients
from plant.validation.cases import Case, Unusable, mlenergy_case, open_table, splitwise_case
from plant.validation.predict import predict
from setpoint.errors import ConfigError

FloatArray = NDArray[np.float64]
POWER_COLUMNS = {
    "mlenergy": ("avg_power_watts", "avg_batch_size"),
    "splitwise": ("average_power", "peak_power"),
}
METER_S = 0.1
"""The power meter of the Splitwise rows averages over about so long: a shorter prompt shows as a part of its peak."""
NO_READING_PU = 0.2
"""Splitwise averages below this share of TDP are no reading of a run: 72 W on a card that idles at 63 W and decodes
at 175 W in the row beside it."""


@dataclass(frozen=True)
class PowerError:
    """One measurement and what the model says of it, watts of one accelerator."""

    gpu: str
    model: str
    metric: str
    measured: float
    predicted: float

    @property
    def error_pu(self) -> float:
        """Predicted over measured, less one."""
        return self.predicted / self.measured - 1.0


@dataclass(frozen=True)
class PowerCase:
    """A measured power and the phases over which it is a mean: (share of time, issued compute, memory)."""

    gpu: Gpu
    model: str
    metric: str
    measured_w: float
    phases: tuple[tuple[float, float, float], ...]

    def power_w(self, p: FloatArray) -> float:
        """Mean over the phases with the constants of `p`."""
        return float(sum(share * gpu_power_w(p, 1.0, u_c, u_m, 1.0) for share, u_c, u_m in self.phases))


def power_errors(table: str, path: Path) -> list[PowerError]:
    """Measured and predicted watts of every usable row of an `mlenergy` or `splitwise` file; [] for other tables.

    Metrics: `power` with the predicted rate of work, `power_at_rate` with the measured one; for Splitwise also
    `peak_power` and `peak_power_at_rate`. A file without power columns gives []. Raises ConfigError for a file that
    cannot be read.
    """
    return [
        PowerError(c.gpu.name, c.model, c.metric, c.measured_w, c.power_w(power_coefficients(c.gpu)))
        for c in power_cases(table, path)
    ]


def power_cases(table: str, path: Path, *, predicted: bool = True) -> list[PowerCase]:
    """Rows of a table as power cases. Without `predicted` only those at the measured rate, which are quick."""
    if table not in POWER_COLUMNS:
        return []
    read = _mlenergy if table == "mlenergy" else _splitwise
    reader = open_table(path)
    if any(name not in (reader.fieldnames or ()) for name in POWER_COLUMNS[table]):
        return []
    found: list[PowerCase] = []
    for row in reader:
        try:
            found.extend(read(reader.line_num, row, predicted))
        except Unusable:
            continue
    return found


def _mlenergy(line: int, row: Mapping[str, str], predicted: bool) -> Iterable[PowerCase]:
    """Mean power of a saturated server."""
    case, watts = mlenergy_case(line, row), _watts(row, "avg_power_watts")
    batch = float(row["avg_batch_size"])
    gpus = max(case.deployment.gpus, int(float(row["num_gpus"])))
    rates = {"power_at_rate": case.measured["output_tok_s"]}
    if predicted:
        rates["power"] = predict(case)["output_tok_s"]
    for metric, tokens_per_s in rates.items():
        phases = (steady_phase(case, batch, batch / tokens_per_s),)
        yield PowerCase(case.deployment.gpu, case.model, metric, watts / gpus, phases)


def steady_phase(case: Case, batch: float, step_s: float) -> tuple[float, float, float]:
    """The one phase of continuous batching: in each step every sequence gains a token, and for each that ends the
    prompt of another is read."""
    ended = batch / case.osl
    context = batch * (case.isl + 0.5 * case.osl)
    u_c, u_m = issued_use(
        use_coefficients(case.deployment), ended * case.isl, ended * 0.5 * case.isl**2, batch, context, step_s
    )
    return 1.0, float(u_c), float(u_m)


def _splitwise(line: int, row: Mapping[str, str], predicted: bool) -> Iterable[PowerCase]:
    """Mean and peak power of one static batch: a prompt phase, then tokens."""
    case = splitwise_case(line, row)
    times = {"_at_rate": case.measured}
    if predicted:
        times[""] = predict(case)
    for suffix, seen in times.items():
        prompt_s, token_s = seen["prompt_ms"] / 1e3, seen["token_ms"] / 1e3
        prompt, token = _static_phases(case, prompt_s, token_s)
        total = prompt_s + token_s * (case.osl - 1)
        meter = min(1.0, prompt_s / METER_S)
        phases = {
            "power": ((prompt_s / total, *prompt), (1 - prompt_s / total, *token)),
            "peak_power": ((meter, *prompt), (1 - meter, *token)),
        }
        for metric, column in (("power", "average_power"), ("peak_power", "peak_power")):
            share = float(row[column] or 0.0)
            if share > NO_READING_PU:
                g = case.deployment.gpu
                yield PowerCase(g, case.model, metric + suffix, share * g.tdp_w, phases[metric])


def _static_phases(
    case: Case, prompt_s: float, token_s: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Uses of the prompt phase and of one token step."""
    w, n = use_coefficients(case.deployment), float(case.concurrency)
    prompt = issued_use(w, n * case.isl, 0.5 * n * case.isl**2, 0.0, 0.0, prompt_s)
    token = issued_use(w, 0.0, 0.0, n, n * (case.isl + 0.5 * case.osl), token_s)
    return prompt, token


def _watts(row: Mapping[str, str], column: str) -> float:
    try:
        watts = float(row[column])
    except ValueError:
        raise Unusable(f"{column} is not a number") from None
    if not 0.0 < watts < 1e6:
        raise Unusable(f"{column} is no power")
    return watts


BASE, MEMORY, ROOT, COMPUTE = range(4)
PRIOR = {
    "hopper": (0.45, 0.25, 0.30, 0.80), "blackwell": (0.15, 0.60, 0.30, 1.50), "ampere": (0.30, 0.50, 0.30, 0.80),
}  # fmt: skip
"""Where the fit starts and is drawn to: base, memory, root, compute shares. HBM at full rate takes 5 to 7 pJ/bit with
its controllers, 0.2 to 0.3 of an H100; the rest are first fits on the rows of one architecture each."""
PRIOR_SIGMA = np.array([0.5, 0.3, 0.6, 0.6])
NOISE_PU = 0.1
"""Scatter of like rows: the same model at batch 256 on 2 H100 was measured at 477 and 547 W."""
STATIC_SHARE = 0.15
"""Part of the busy base that does not follow the core clock. No public clock sweep says; chosen so that a locked
clock saves a third of decode energy on an H200, as arXiv 2605.11999 measured (up to 32%)."""
KNEE_PU, V_MIN_PU = 0.72, 0.78
"""Clock below which the voltage stays at its least, and that voltage, where no sweep was fitted. An A100's energy for
a piece of work is least near 1005 of 1410 MHz (arXiv 2501.08219), which for compute-bound work is at the knee."""
REFERENCE = {"hopper": "H100-SXM", "blackwell": "B200-SXM", "ampere": "A100-SXM-80"}
"""The card each architecture was measured on; others of it scale by bandwidth, peak and TDP."""


def fit_shares(cases: Sequence[PowerCase], arch: str) -> dict[str, float]:
    """The constants of one architecture: robust least squares on log errors with log-normal priors."""
    from scipy.optimize import least_squares

    prior = np.array(PRIOR[arch])
    measured = np.log([case.measured_w for case in cases])

    def residuals(x: FloatArray) -> FloatArray:
        shares = named(prior * np.exp(x))
        found = np.log([case.power_w(power_vector(case.gpu, shares)) for case in cases])
        return np.concatenate([(found - measured) / NOISE_PU, x / PRIOR_SIGMA])

    solved = least_squares(residuals, np.zeros(4), loss="soft_l1")
    return named(prior * np.exp(solved.x))


def named(x: FloatArray, knee_pu: float = KNEE_PU, v_min_pu: float = V_MIN_PU) -> dict[str, float]:
    """The four fitted numbers as the constants of `plant.power.gpu`, with the clock's constants beside them."""
    return {
        "static_pu": STATIC_SHARE * float(x[BASE]), "tree_pu": (1 - STATIC_SHARE) * float(x[BASE]),
        "memory_pu": float(x[MEMORY]), "compute_root_pu": float(x[ROOT]), "compute_pu": float(x[COMPUTE]),
        "knee_pu": knee_pu, "v_min_pu": v_min_pu,
    }  # fmt: skip


def middle(several: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Geometric means: the constants of an architecture nobody measured.

    >>> middle([{"a": 1.0}, {"a": 4.0}])
    {'a': 2.0}
    """
    rows = list(several)
    return {name: float(np.exp(np.mean([np.log(row[name]) for row in rows]))) for name in rows[0]}


def by_arch(cases: Iterable[PowerCase]) -> dict[str, list[PowerCase]]:
    """Cases of each architecture that has a prior."""
    found: dict[str, list[PowerCase]] = {}
    for case in cases:
        if case.gpu.arch in PRIOR:
            found.setdefault(case.gpu.arch, []).append(case)
    return found


def errors_pu(cases: Iterable[PowerCase], shares: Mapping[str, float]) -> FloatArray:
    """Relative errors of cases with given constants."""
    return np.array([c.power_w(power_vector(c.gpu, shares)) / c.measured_w - 1.0 for c in cases])


def leave_one_model_out(cases: Sequence[PowerCase], arch: str, tested: Sequence[PowerCase]) -> FloatArray:
    """Errors of `tested`, each with constants fitted to the `cases` of the other models."""
    errors: list[FloatArray] = []
    for model in sorted({case.model for case in tested}):
        others = [case for case in cases if case.model != model]
        shares = fit_shares(others, arch) if others else named(np.array(PRIOR[arch]))
        errors.append(errors_pu([case for case in tested if case.model == model], shares))
    return np.concatenate(errors)


@dataclass(frozen=True)
class LimitCase:
    """One training workload under falling power limits: (limit W, seconds an epoch, mean W), rising by limit."""

    name: str
    runs: tuple[tuple[float, float, float], ...]


def limit_cases(path: Path) -> list[LimitCase]:
    """Workloads of a Zeus power-limit table (data set, network, batch and optimizer make one). Raises ConfigError."""
    groups: dict[str, list[tuple[float, float, float]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                name = "/".join(row[key] for key in ("dataset", "network", "batch_size", "optimizer"))
                values = (
                    float(row["power_limit"]),
                    float(row["time_per_epoch"]),
                    float(row["average_power"]),
                )
                groups.setdefault(name, []).append(values)
    except (OSError, KeyError, ValueError) as why:
        raise ConfigError(
            f"not a power-limit table: {why}",
            where=str(path),
            remedy="Give a file as zeus_powerlimit_train_*.csv",
        ) from why
    return [LimitCase(name, tuple(sorted(runs))) for name, runs in groups.items() if len(runs) > 1]


def limit_times(case: LimitCase, p: FloatArray) -> list[tuple[float, float, float]]:
    """(limit W, measured, predicted time over that at the highest limit) for compute-bound work.

    The use of arithmetic is that at which the model draws the power measured at the highest limit; the rest follows
    from the law of the cap alone.
    """
    _, time_s, watts = case.runs[-1]
    q = p.copy()
    use = _use_for(q, watts)
    q[10] = use
    found = []
    for limit, measured_s, _ in case.runs[:-1]:
        clock = clock_under_cap_pu(q, 1.0, use, 0.0, limit, 1.0)
        found.append((limit, measured_s / time_s, float(stretch_at_clock(q, use, 0.0, clock))))
    return found


def _use_for(p: FloatArray, watts: float) -> float:
    """Compute use at which a busy card draws `watts` at its full clock, by halving."""
    low, high = 1e-6, 20.0
    for _ in range(60):
        half = 0.5 * (low + high)
        low, high = (half, high) if gpu_power_w(p, 1.0, half, 0.0, 1.0) < watts else (low, half)
    return low


def compute_bound(cases: Iterable[LimitCase], share: float = 0.85) -> list[LimitCase]:
    """Workloads that draw at least `share` of the highest limit, and so feel the lower ones from the first on."""
    return [case for case in cases if case.runs[-1][2] >= share * case.runs[-1][0]]


def fit_knee(cases: Sequence[LimitCase], card: Gpu, shares: Mapping[str, float]) -> dict[str, float]:
    """Knee and least voltage from power limits, the other constants as given."""
    from scipy.optimize import least_squares

    def residuals(x: FloatArray) -> FloatArray:
        p = power_vector(card, {**shares, "knee_pu": float(x[0]), "v_min_pu": float(x[1])})
        return np.array([np.log(b / a) for case in cases for _, a, b in limit_times(case, p)])

    solved = least_squares(
        residuals, np.array([0.75, 0.8]), bounds=([0.5, 0.5], [0.95, 0.98]), diff_step=1e-3, loss="soft_l1",
        f_scale=0.05,
    )  # fmt: skip
    return {**shares, "knee_pu": float(solved.x[0]), "v_min_pu": float(solved.x[1])}


def fit_all(cases: Iterable[PowerCase], volta: Sequence[LimitCase]) -> dict[str, Any]:
    """The content of `plant/power/calibration.yaml`."""
    fitted = {arch: fit_shares(rows, arch) for arch, rows in sorted(by_arch(cases).items())}
    default = middle(fitted.values())
    arch: dict[str, Any] = {name: {**shares, "reference": REFERENCE[name]} for name, shares in fitted.items()}
    arch["volta"] = {**fit_knee(compute_bound(volta), gpu("V100-PCIe"), default), "reference": "V100-PCIe"}
    arch["blackwell-ultra"] = {**fitted["blackwell"], "reference": REFERENCE["blackwell"]}
    return {"default": default, "arch": arch}


HEADER = """\
# Constants of plant.power.gpu, shares of TDP above idle (knee and v_min: of clock and voltage). Fitted by
#   python -m plant.validation.power --fit --data ../shared/data/plant
# hopper, blackwell: ML.ENERGY rows at their measured rate; ampere: Splitwise rows; volta: knee and v_min from Zeus
# power limits, the rest as default; default: geometric mean of the three; blackwell-ultra: as blackwell.
"""


def write_calibration(found: Mapping[str, Any], path: Path) -> None:
    """Writes the constants, rounded to four places, below the command that makes them."""

    def rounded(shares: Mapping[str, Any]) -> dict[str, Any]:
        return {name: round(v, 4) if isinstance(v, float) else v for name, v in shares.items()}

    content = {
        "default": rounded(found["default"]),
        "arch": {name: rounded(shares) for name, shares in found["arch"].items()},
    }
    path.write_text(
        HEADER + yaml.safe_dump(content, sort_keys=False, default_flow_style=None, width=118), "utf-8"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Fits, or prints the table of errors."""
    parser = argparse.ArgumentParser(prog="python -m plant.validation.power", description=main.__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public measurements")
    parser.add_argument("--fit", action="store_true", help="fit and write plant/power/calibration.yaml")
    options = parser.parse_args(arguments)
    data: Path = options.data
    cases = [
        *power_cases("mlenergy", data / "mlenergy_v3_llm_dev.csv"),
        *power_cases("splitwise", data / "splitwise_perf_dev.csv"),
    ]
    volta = limit_cases(data / "zeus_powerlimit_train_v100.csv")
    at_rate = [case for case in cases if case.metric.endswith("_at_rate")]
    found = fit_all(at_rate, volta)
    if options.fit:
        write_calibration(found, Path(__file__).parents[1] / "power" / "calibration.yaml")
    for line in report(cases, found):
        print(line)
    for line in limit_report(
        found, {"V100-PCIe": volta, "P100-PCIe": limit_cases(data / "zeus_powerlimit_train_p100.csv")}
    ):
        print(line)
    return 0


def report(cases: Sequence[PowerCase], found: Mapping[str, Any]) -> list[str]:
    """Mean and median absolute errors, %: in sample, without the row's model, without its GPU."""
    lines = [
        f"{'arch':10} {'metric':20} {'rows':>4}  in sample     model out     GPU out   (mean / median, %)"
    ]
    grouped = by_arch(cases)
    for arch, rows in sorted(grouped.items()):
        train = [case for case in rows if case.metric.endswith("_at_rate")]
        others = middle(
            {k: v for k, v in found["arch"][name].items() if k != "reference"}
            for name in grouped
            if name != arch
        )
        for metric in sorted({case.metric for case in rows}):
            tested = [case for case in rows if case.metric == metric]
            columns = [
                errors_pu(tested, found["arch"][arch]),
                leave_one_model_out(train, arch, tested),
                errors_pu(tested, others),
            ]
            shown = "   ".join(
                f"{100 * np.abs(e).mean():5.1f} /{100 * np.median(np.abs(e)):5.1f}" for e in columns
            )
            lines.append(f"{arch:10} {metric:20} {len(tested):4}  {shown}")
    return lines


def limit_report(found: Mapping[str, Any], tables: Mapping[str, Sequence[LimitCase]]) -> list[str]:
    """Errors of the time under power limits, with the constants fitted to the V100."""
    lines = []
    for card, cases in tables.items():
        p = power_vector(gpu(card), found["arch"]["volta"])
        tested = compute_bound(cases, 0.85 if card.startswith("V") else 0.6)
        errors = np.array([b / a - 1.0 for case in tested for _, a, b in limit_times(case, p)])
        lines.append(
            f"{card}: {len(tested)} compute-bound workloads, {errors.size} power limits: time off by "
            f"{100 * np.abs(errors).mean():.1f}% mean, {100 * np.median(np.abs(errors)):.1f}% median"
        )
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
