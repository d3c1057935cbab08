"""What was measured, as Markdown, from the files in ``benchmarks/results/``.

    python benchmarks/table.py             # print it
    python benchmarks/table.py --write     # put it into the pages of docs/

A ratio is in bold where it is short of its goal, and is shown only where quality is equal.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
from pathlib import Path
from typing import Any

from _compare import CLOCKS, RESULTS, differences, inequality, mean_and_half, signed
from _gpu_report import summary
from _gpu_rows import rows_of
from keyword_reading import lines
from learning_curve import lines as curve_lines
from scores import share
from several_labels import lines as several_lines

from review import lines as review_lines
from tuning import lines as tuning_lines

ROOT = Path(__file__).parents[1]
SCRIPTS = (
    "encoder_training", "pair_classification", "causal_training",
    "generation_evaluation", "prediction", "scores", "preparing", "embedding_study", "starting",
)  # fmt: skip
# the rows at the head of docs/performance.md: the first of these that can be compared
HEADLINES = (
    ("encoder training, short texts", "plain Trainer"),
    ("encoder training, long texts", "plain Trainer"),
    ("pair classification, fr_stsb", "CrossEncoderTrainer"),
    ("evaluation with generation, t5", "Seq2SeqTrainer.predict"),
    ("prediction, en_rotten_tomatoes", "transformers.pipeline"),
    ("embedding study, 2,000 texts", "all states kept"),
    ("read and tokenise, keyphrases", "pandas and Dataset.map"),
    ("ROUGE and keyphrase scores", "evaluate by row"),
)
HEADLINE_ROWS = 5
UNEQUAL = "not comparable"
GOAL_POINTS = 0.3  # of random steps: the mean difference to random; zero stands in its interval
GOAL_SHARE = 0.85  # and what they gain of like length's speed-up
PAGES = ("README.md", "docs/performance.md", "docs/keywords.md", "docs/classification.md",
         "docs/review.md", "docs/learning_curve.md", "docs/tune.md", "docs/study.md",
         "docs/quantization.md")  # fmt: skip
TIMED = {*CLOCKS, "peak_mib", "rows"}


def sections() -> dict[str, list[str]]:
    """The lines of each section."""
    others = ("order_of_rows", "growth", "utilisation", "serve")
    found = {script: read(script) for script in (*SCRIPTS, *others)}
    # the data sets of this script are measured one by one
    orders = {f"order_of_rows ({row['data']})": row for row in found["order_of_rows"]["table"]}
    single = {script: found[script] for script in SCRIPTS} | orders
    commands = single | {script: found[script] for script in others[1:]}
    return {
        "machine": machines(single),
        "commands": [f"- `{result['command']}`" for result in commands.values() if result],
        "speed": markdown(speed({script: found[script] for script in SCRIPTS})),
        "headlines": markdown(headlines(found)),
        "quoted": markdown([[*row[:2], row[3], row[5]] for row in headlines(found)]),
        "floor": [share(row) for row in found["scores"]["table"] if "floor" in row],
        "order": order(found["order_of_rows"]),
        "reading": lines(read("keyword_reading").get("table", [])),
        "several": several_lines(read("several_labels").get("found", {})),
        "review": review_lines(read("review")),
        "curve": curve_lines(read("learning_curve").get("found", {})),
        "tuning": tuning_lines(read("tuning")),
        "states": states(found["embedding_study"]),
        "quantised": quantised(read("quantized_serving")),
        "growth": growth(found["growth"]),
        "utilisation": utilisation(found["utilisation"]),
        "serve": serve(found["serve"]),
        "gpu": gpu(RESULTS / "gpu.jsonl"),
    }


def headlines(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The rows at the head of docs/performance.md, with the command that measures them."""
    equal = {
        (row["what"], peer): [*told[:4], told[5], f"`{found[script]['command']}`"]
        for script in SCRIPTS
        for row in found[script].get("table", [])
        for peer in row["ratios"]
        if (told := cells(row, peer))[3] != UNEQUAL
    }
    shown = [equal[name] for name in HEADLINES if name in equal][:HEADLINE_ROWS]
    return [["what", "against", "goal", "ratio", "reached, frtune / other", "command"], *shown]


def read(script: str) -> dict[str, Any]:
    """What a script found; nothing if it never ran."""
    path = RESULTS / f"{script}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def machines(found: dict[str, dict[str, Any]]) -> list[str]:
    """What the numbers of each script were taken on, in words."""
    scripts: dict[str, list[str]] = {}
    for script, result in found.items():
        if result:
            scripts.setdefault(machine(result), []).append(script)
    return [f"- {said}: {', '.join(names)}" for said, names in scripts.items()]


def machine(result: dict[str, Any]) -> str:
    """What the numbers of one script were taken on."""
    hardware = result["hardware"]
    bf16 = "fast bf16" if hardware.get("fast bf16") else "no fast bf16 (all in fp32)"
    named = [f"{name} {hardware[name]}" for name in ("torch", "transformers") if name in hardware]
    threads = f"{result['threads']} thread{'s' if result['threads'] > 1 else ''}"
    return ", ".join([hardware["processor"], threads, bf16, "no GPU", *named])


# --- speed --------------------------------------------------------------------------------------


def speed(found: dict[str, dict[str, Any]]) -> list[list[str]]:
    """The ratios of all scripts, under their heads."""
    rows = [["what", "against", "goal", "ratio", "of processor time", "reached, frtune / other",
             "frtune less other"]]  # fmt: skip
    for script, result in found.items():
        if not result:
            rows.append([f"`benchmarks/{script}.py`", "", "", "not measured", "", "", ""])
        for row in result.get("table", []):
            rows.extend(cells(row, peer) for peer in row["ratios"])
    return rows


def cells(row: dict[str, Any], peer: str) -> list[str]:
    """One row of the table; no ratio where quality is not equal."""
    ratio, goal = row["ratios"][peer], row["goals"][peer]
    own = next(iter(row["runs"].values()))
    judged = row.get("judged by", {}).get(peer, peer)
    unequal = inequality(row, peer)
    less = [] if "seeds" not in row else [
        f"{name} {signed(*found)}" for name, found in differences(row, peer).items()
    ]  # fmt: skip
    times = [spread(ratio[clock], goal) for clock in CLOCKS]
    told = reached(own, row["runs"][judged], row.get("quality", {}), learnt="seeds" in row)
    return [
        row["what"],
        peer,
        f"{goal:g}",
        *([UNEQUAL, ""] if unequal else times),
        f"{told} (of {judged})" if judged != peer else told,
        ", ".join(less) or unequal,
    ]


def spread(ratio: dict[str, float], goal: float) -> str:
    """Median with lowest and highest; bold if short of the goal."""
    median, *ends = (f"{ratio[name]:.3g}" for name in ("median", "lowest", "highest"))
    median = bold(median, ratio["median"] < goal)
    return median if ends[0] == ends[1] else f"{median} ({ends[0]} to {ends[1]})"


def bold(text: str, short: bool) -> str:
    """A number that is short of its goal."""
    return f"**{text}**" if short else text


def reached(
    own: list[dict], other: list[dict], quality: dict[str, float], *, learnt: bool = False
) -> str:
    """What both reached, alone and compared.

    Where it was ``learnt``, means over seeds with half of the 95 % interval; else medians of
    numbers, and texts as equal or not.
    """
    found = [f"{name} {number(value)}" for name, value in quality.items()]
    for name in own[0]:
        if name in TIMED or name not in other[0]:
            continue
        values = [[run[name] for run in runs] for runs in (own, other)]
        if isinstance(own[0][name], str):
            found.append(f"{'same' if values[0][0] == values[1][0] else 'other'} {name}")
        elif learnt:
            shown = ["{:.4f} ± {:.4f}".format(*mean_and_half(numbers)) for numbers in values]
            found.append(f"{name} {' / '.join(shown)}")
        else:
            shown = [number(statistics.median(numbers)) for numbers in values]
            found.append(f"{name} {' / '.join(dict.fromkeys(shown))}")
    return ", ".join(found).replace("_", " ")


def number(value: float) -> str:
    """Four digits; whole numbers whole."""
    return f"{value:.4g}" if abs(value) < 1000 and value % 1 else f"{value:,.0f}"


# --- order of rows -------------------------------------------------------------------------------


def order(result: dict[str, Any]) -> list[str]:
    """What each order of rows reached, less what random rows reached, and its times."""
    rows = [["data", "order", "score", "less random, points", "loss less random", "seconds",
             "speed-up", "of processor time", "share of like length's gain"]]  # fmt: skip
    for data in result.get("table", []):
        for way, found in data["ways"].items():
            same, goal = way == "random", way == "random steps"
            mean, half = (100 * value for value in found["score less random"])
            points = bold(signed(mean, half, digits=2), goal and abs(mean) > min(GOAL_POINTS, half))
            shares = [
                bold(f"{100 * share:.0f} %", share < GOAL_SHARE)
                for share in found["share"].values()
            ]
            rows.append(
                [
                    f"{data['data']}, {data['score']}",
                    way,
                    "{:.4f} ± {:.4f}".format(*found["score"]),
                    "" if same else points,
                    "" if same else signed(*found["loss less random"]),
                    f"{found['seconds']:.0f}",
                    *(f"{found['speed_up'][clock]['median']:.2f}" for clock in CLOCKS),
                    " / ".join(shares) if goal else "",
                ]
            )
    return markdown(rows) if len(rows) > 1 else ["Not measured."]


# --- study and quantisation ----------------------------------------------------------------------


def states(result: dict[str, Any]) -> list[str]:
    """Processor time and memory of a study, beside the way that keeps all hidden states."""
    rows = [["texts", "frtune", "straightforward", "times faster", "share of memory"]]
    for found in result.get("table", []):
        own, other = found["runs"].values()
        cost = [
            (statistics.median(run["cpu_seconds"] for run in runs),
             statistics.median(run["mib_above_model"] for run in runs))
            for runs in (own, other)
        ]  # fmt: skip
        (peer,) = found["ratios"]
        rows.append(
            [
                found["what"].removeprefix("embedding study, ").removesuffix(" texts"),
                *(f"{seconds:.1f} s, {mib:,.0f} MiB" for seconds, mib in cost),
                f"{found['ratios'][peer]['cpu_seconds']['median']:.1f}",
                f"{cost[0][1] / cost[1][1]:.2f}",
            ]
        )
    return [f"On {machine(result)}.", "", *markdown(rows)]


def quantised(result: dict[str, Any]) -> list[str]:
    """Processor time of a text by each way of quantising, and how far logits are from fp32."""
    batches = result["batches"]
    first = next(iter(batches.values()))
    rows = [["way", *(f"batch {size}" for size in batches), "logits apart"]]
    for name in first:
        apart = max(found[name]["max_logit_difference"] for found in batches.values())
        times = [f"{found[name]['processor_ms']:.1f} ms" for found in batches.values()]
        rows.append([name, *times, f"{apart:.2f}" if name != "fp32" else ""])
    return markdown(rows)


# --- growth and utilisation ----------------------------------------------------------------------


def growth(result: dict[str, Any]) -> list[str]:
    """How time and memory grow with rows."""
    rows = [["what", "rows", "exponent", "of the two largest", "ms a row, processor",
             "MiB at least, at most rows"]]  # fmt: skip
    for curve in result.get("curves", []):
        counts = [run["rows"] for run in curve["runs"]]
        rows.append(
            [
                curve["what"],
                f"{min(counts):,} to {max(counts):,}",
                f"{curve['exponent']:.2f}",
                f"{curve['last_exponent']:.2f}",
                f"{curve['cpu_ms_a_row']:.2f}",
                f"{curve['mib_at_least']:.0f}, {curve['mib_at_most']:.0f}",
            ]
        )
    return markdown(rows)


def utilisation(result: dict[str, Any]) -> list[str]:
    """Model-FLOPs utilisation, and where a step's time goes."""
    if not result:
        return ["Not measured."]
    rows, length = result["batch"]
    shape, peak = next(iter(result["GFLOP/s of products"].items()))
    clock, processor = (100 * result["utilisation"][name] for name in ("seconds", "cpu_seconds"))
    step = result["GFLOP/s of a step"]["cpu_seconds"]
    said = (
        f"A training step of CamemBERT-base's shape ({rows} rows of {length} tokens, "
        f"{result['dtype']}) reaches {clock:.0f} % of the speed of a matrix product ({shape}) in "
        f"the same run by the clock, {processor:.0f} % by processor time ({step} of "
        f"{peak['cpu_seconds']} GFLOP/s a core); the goal is {100 * result['goal']:.0f} %. Where a "
        "step's time goes:"
    )
    shares = [[name, f"{100 * share:.1f} %"] for name, share in result["shares"].items()]
    return [said, "", *markdown([["part", "share"], *shares])]


def serve(result: dict[str, Any]) -> list[str]:
    """What batches gain with several clients, and cost one."""
    if not result:
        return ["Not measured."]
    clients, goals = str(result["clients"]), result["goals"]
    rows = [["model", f"requests a second, {clients} clients: batched / one at a time", "ratio",
             "median and p95, ms", "one client, median, ms", "ratio", "same answers"]]  # fmt: skip
    for found in result["table"]:
        many, one = ([runs[count] for runs in found["runs"].values()] for count in (clients, "1"))

        def both(ways: list[list[dict[str, Any]]], name: str) -> str:
            return " / ".join(number(statistics.median(r[name] for r in runs)) for runs in ways)

        gain, cost = found["throughput"], found["lone latency"]
        rows.append(
            [
                found["what"],
                both(many, "requests_a_second"),
                bold(f"{gain:.2f}", gain < goals["throughput"]),
                f"{both(many, 'median_ms')}; {both(many, 'p95_ms')}",
                both(one, "median_ms"),
                bold(f"{cost:.2f}", cost >= goals["lone latency"]),
                f"{100 * found['same answers']:.1f} %",
            ]
        )
    load = result["hardware"]["load"][0]
    return [f"On {machine(result)}; load of the machine {load:g}.", "", *markdown(rows)]


def gpu(path: Path) -> list[str]:
    """What ``gpu.py`` found on the GPU that the file names."""
    if not path.is_file():
        return ["Not measured."]
    about = ("part", "hardware", "took_seconds")
    results = {
        line.pop("row"): {name: value for name, value in line.items() if name not in about}
        for line in map(json.loads, path.open(encoding="utf-8"))
    }
    return summary(rows_of(quick=False), results, results["hardware"]).splitlines()


# --- Markdown ------------------------------------------------------------------------------------


def markdown(rows: list[list[str]]) -> list[str]:
    """A table with a head."""
    lined = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return [f"| {' | '.join(row)} |" for row in lined]


def filled(text: str, found: dict[str, list[str]]) -> str:
    """A page with each section between its marks replaced."""

    def fill(match: re.Match) -> str:
        return "\n".join([match[1], "", *found[match[2]], "", "<!-- end -->"])

    return re.sub(
        r"(<!-- benchmarks/table.py: (\w+) -->).*?<!-- end -->", fill, text, flags=re.DOTALL
    )


def main() -> None:
    """Print what was measured, or write it."""
    made = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    made.add_argument("--write", action="store_true", help="into docs")
    if not made.parse_args().write:
        for lines in sections().values():
            print("\n".join([*lines, ""]))
        return
    for name in PAGES:
        path = ROOT / name
        text = filled(path.read_text(encoding="utf-8"), sections())
        path.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
