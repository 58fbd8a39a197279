"""Recomputes the main numbers of `voicetune report RUN... --json` from the runs' files, and compares.

    pip install numpy pyyaml
    voicetune --workspace WS report RUN... --json > report.json
    python3 tests/parity/recompute_report.py WS report.json path/to/voicetune

Tally, win rates with Wilson's intervals, Bradley-Terry strengths with theirs, rubric means and the canaries come from verdicts.jsonl; the
type-token curve and copied spans from the outputs and the pairs, the spans by plain search; cuts, precision, recall and kappa from the kinds of the sentences that `voicetune diff --json`
prints. Nothing of the report but its temperature and the names of its runs is taken for granted. Exit code 1 if a number differs.
"""

import collections
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy as np
import yaml

WS, REPORT, PROGRAM = pathlib.Path(sys.argv[1]), json.load(open(sys.argv[2])), sys.argv[3]
RUNS = [run["run"] for run in REPORT["runs"]]
differences = 0
compared = collections.Counter()


def compare(what, found, expected):
    global differences
    compared[what.split(":")[0]] += 1
    same = found == expected
    if isinstance(found, (int, float)) and isinstance(expected, (int, float)):
        same = abs(found - expected) < 1e-6
    if not same:
        differences += 1
        print(f"{what}: the report has {found}, recomputed {expected}")


def lines(path):
    return [json.loads(line) for line in path.read_text().split("\n") if line.strip()] if path.exists() else []


def plain(text):
    return text.replace("\r\n", "\n").strip()


# --- what the runs hold ---------------------------------------------------------------------------------------------------------

pairs = {}
for path in WS.glob("pairs/tier*/*.yaml"):
    pairs[f"{path.parent.name}/{path.stem}"] = yaml.safe_load(path.read_text())
manifests = {run: yaml.safe_load((WS / "runs" / run / "manifest.yaml").read_text()) for run in RUNS}
outputs = {}  # (run, prompt, arm) -> {sample: line}
for run in RUNS:
    for path in (WS / "runs" / run / "outputs").glob("*/*.jsonl"):
        samples = {line["sample"]: line for line in lines(path) if line["sampling"]["temperature"] == REPORT["temperature"]}
        if samples:
            outputs[run, path.parent.name, path.stem] = samples

# --- blind readings -------------------------------------------------------------------------------------------------------------

verdicts = {}
for run in RUNS:
    for line in lines(WS / "runs" / run / "verdicts.jsonl"):
        if line["type"] == "verdict" and line.get("temperature", REPORT["temperature"]) == REPORT["temperature"]:
            verdicts.setdefault(line["id"], line)
replaced = {verdict.get("replaces") for verdict in verdicts.values()}
blind = [verdict for id, verdict in verdicts.items() if id not in replaced and verdict["blind"]]
compare("blind readings", REPORT["reading"]["blind"], len(blind))


def place(outcome, arm):
    if outcome == "tie":
        return 0
    if outcome == "all_bad":
        return None
    if "best" in outcome:
        return 0 if arm in outcome["best"] else 1
    return next((at for at, group in enumerate(g for g in outcome["ranking"] if g) if arm in group), None)


tally = collections.defaultdict(collections.Counter)
beaten = collections.Counter()
scores = collections.defaultdict(list)
decisions = []  # of each reading, who was placed before whom and how much it counts
for verdict in blind:
    decisions.append([])
    arms = [shown["arm"] for shown in verdict["shown"]]
    first = [arm for arm in arms if place(verdict["outcome"], arm) == 0]
    for arm in arms:
        tally[arm]["readings"] += 1
        if verdict["outcome"] == "all_bad":
            tally[arm]["all_bad"] += 1
        elif len(first) == len(arms):
            tally[arm]["ties"] += 1
        elif arm in first:
            tally[arm]["wins"] += 1
        for dimension, score in verdict.get("scores", {}).get(arm, {}).items():
            scores[arm, dimension].append(score)
    for i, a in enumerate(arms):
        for b in arms[i + 1 :]:
            p, q = place(verdict["outcome"], a), place(verdict["outcome"], b)
            if p is None or q is None or (p == q == 1 and "best" in verdict["outcome"]):
                continue
            for first, second, share in [(a, b, 1.0 if p < q else 0.5 if p == q else 0.0), (b, a, 1.0 if q < p else 0.5 if p == q else 0.0)]:
                beaten[first, second] += share
                decisions[-1].append((first, second, share))

met = sorted({arm for pair in beaten for arm in pair})
strength = {arm: 1.0 for arm in met}
for _ in range(20000):  # plain fixed-point iteration; half a win and half a loss against an arm of strength 1
    new = {}
    for a in met:
        won = sum(beaten[a, b] for b in met if b != a) + 0.5
        weight = sum((beaten[a, b] + beaten[b, a]) / (strength[a] + strength[b]) for b in met if b != a) + 1 / (strength[a] + 1)
        new[a] = won / weight
    strength = new
scale = math.exp(sum(map(math.log, strength.values())) / len(met)) if met else 1.0



def intervals():
    """95 %, on the logarithm's scale; the larger of the errors of the information and of the sandwich clustered by reading."""
    place = {arm: at for at, arm in enumerate(met)}
    s = np.array([strength[arm] for arm in met])
    information = np.diag(s / (s + 1) ** 2)  # half a win and half a loss against strength 1
    gradients = [np.zeros(len(met)) for _ in decisions]
    for gradient, reading in zip(gradients, decisions):
        for a, b, share in reading:
            i, j = place[a], place[b]
            p = s[i] / (s[i] + s[j])
            d = np.eye(len(met))[i] - np.eye(len(met))[j]
            information += share * p * (1 - p) * np.outer(d, d)
            gradient += share * (1 - p) * d
    gradients = [gradient for gradient, reading in zip(gradients, decisions) if reading]
    covariance = np.linalg.inv(information)
    centred = np.eye(len(met)) - 1 / len(met)
    variance = np.diag(centred @ covariance @ centred)
    if len(gradients) > 1:
        meat = sum(np.outer(g, g) for g in gradients) * len(gradients) / (len(gradients) - 1)
        variance = np.maximum(variance, np.diag(centred @ covariance @ meat @ covariance @ centred))
    log = np.log(s) - np.log(s).mean()
    half = 1.959963984540054 * np.sqrt(variance)
    return {arm: (math.exp(log[at] - half[at]), math.exp(log[at] + half[at])) for arm, at in place.items()}


interval = intervals() if met else {}
compare("arms read", sorted(standing["arm"] for standing in REPORT["reading"]["standings"]), sorted(tally))
for standing in REPORT["reading"]["standings"]:
    arm = standing["arm"]
    for key in ["readings", "wins", "ties", "all_bad"]:
        compare(f"{key}: {arm}", standing[key], tally[arm][key])
    n, p, z = tally[arm]["readings"], tally[arm]["wins"] / tally[arm]["readings"], 1.959963984540054
    compare(f"win rate: {arm}", standing["win_rate"], p)
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    for at, end in enumerate([centre - half, centre + half]):
        compare(f"Wilson: {arm}", standing["win_interval"][at], end / (1 + z * z / n))
    compare(f"strength: {arm}", standing["strength"], strength[arm] / scale if arm in strength else None)
    for at in range(2):
        found = standing["strength_interval"]
        compare(f"interval of strength: {arm}", found and found[at], interval[arm][at] if arm in interval else None)
    for dimension, mean in standing["rubric"].items():
        values = scores[arm, dimension]
        compare(f"rubric: {arm} {dimension}", mean["mean"], sum(values) / len(values))
        compare(f"rubric count: {arm} {dimension}", mean["count"], len(values))

# --- canaries -------------------------------------------------------------------------------------------------------------------

RUBRIC = WS / "configs" / "rubric.yaml"
LONG_ONLY = {d["id"] for d in yaml.safe_load(RUBRIC.read_text())["dimensions"] if d.get("long_only")} if RUBRIC.exists() else None

for sheet in REPORT["reading"]["canaries"]:
    for row in sheet["canaries"]:
        if not row["asked"] or (row["canary"] == "C" and LONG_ONLY is None):
            continue
        means = {}
        for which in ["base", "tuned"]:
            of_readings = []
            for verdict in blind:
                for arm, given in verdict.get("scores", {}).items():
                    counted = [n for id, n in given.items() if row["canary"] != "C" or not LONG_ONLY or id in LONG_ONLY]
                    if verdict["prompt"] == row["canary"] and arm.startswith(sheet["run"] + "/") and arm.endswith("-" + which) and counted:
                        of_readings.append(sum(counted) / len(counted))
            means[which] = sum(of_readings) / len(of_readings) if of_readings else None
            compare(f"canary: {sheet['run']} {row['canary']} {which}", row[which] and row[which]["mean"], means[which])
        both = None not in means.values()
        compare(f"canary: {sheet['run']} {row['canary']}", row["difference"], means["tuned"] - means["base"] if both else None)

# --- copied spans ---------------------------------------------------------------------------------------------------------------


def words(text):
    """Letters and digits with inner apostrophes, and points or commas between digits."""
    found = re.findall(r"[^\W_]+(?:(?:['’.](?=[^\W\d_])|[.,](?=\d))[^\W_]+)*", text)
    return [word.lower().replace("’", "'") for word in found]


def copied(output, texts, prompt):
    """Lengths of the spans of 8 or more words, the longest first, and whether the prompt holds each."""
    holds = lambda start, end: any(f" {' '.join(output[start:end])} " in text for text in texts)
    lengths = []  # of the longest span from each word on
    for start in range(len(output)):
        end = start + 8
        if end > len(output) or not holds(start, end):
            lengths.append(0)
            continue
        while end < len(output) and holds(start, end + 1):
            end += 1
        lengths.append(end - start)

    def within(low, high):
        length, start = max(((min(lengths[at], high - at), -at) for at in range(low, high)), default=(0, 0))
        if length < 8:
            return []
        start = -start
        in_prompt = f" {' '.join(output[start : start + length])} " in prompt
        return within(low, start) + [(length, in_prompt)] + within(start + length, high)

    return within(0, len(output))


for arm in REPORT["arms"]:
    run, name = arm["arm"].split("/")
    train = [pairs[id] for id in manifests[run]["data"]["train"] if id in pairs]
    spaced = lambda text: " " + " ".join(words(text)) + " "
    texts = [spaced(pair[side]) for pair in train for side in ["prompt", "response"]]
    spans = []
    for (of_run, prompt, of_arm), samples in outputs.items():
        if (of_run, of_arm) == (run, name):
            for line in samples.values():
                spans += copied(words(line["text"]), texts, spaced(line["prompt_text"]))
    compare(f"copied spans: {arm['arm']}", arm["copied_spans"], sum(not in_prompt for _, in_prompt in spans))
    compare(f"copied words: {arm['arm']}", arm["copied_words"], sum(n for n, in_prompt in spans if not in_prompt))
    compare(f"from the prompt: {arm['arm']}", arm["from_prompt"], sum(in_prompt for _, in_prompt in spans))

# --- type-token curve -----------------------------------------------------------------------------------------------------------


def growth(text):
    """Different words among the first 25, 50, ... up to 1,000, as far as the text goes."""
    all_words = words(text)
    return [len(set(all_words[:n])) for n in range(25, min(len(all_words), 1000) + 1, 25)]


finished = {pair["response"].strip() for pair in pairs.values() if pair["status"] == "ready" and pair["tier"] != 3}
finished = [growth(text) for text in finished if words(text)]
drawn = {arm["arm"]: [] for arm in REPORT["voice"]["arms"]}
for (run, _, name), samples in outputs.items():
    drawn[f"{run}/{name}"] += [growth(line["text"]) for line in samples.values() if words(line["text"])]
for at, point in enumerate(REPORT["voice"]["curve"]):
    own = np.array([curve[at] for curve in finished if len(curve) > at])
    compare("type-token curve: she", point["hers"], float(own.mean()))
    compare("type-token curve: spread", point["spread"], float(own.std(ddof=1)))
    for arm, value in zip(REPORT["voice"]["arms"], point["values"]):
        of_arm = [curve[at] for curve in drawn[arm["arm"]] if len(curve) > at]
        compare(f"type-token curve: {arm['arm']}", value and value["value"], float(np.mean(of_arm)) if of_arm else None)

# --- agreement ------------------------------------------------------------------------------------------------------------------


def cuts(draft, revision):
    """The spans of the draft's sentences that were cut."""
    with tempfile.TemporaryDirectory() as folder:
        a, b = pathlib.Path(folder, "a"), pathlib.Path(folder, "b")
        a.write_text(draft)
        b.write_text(revision)
        shown = subprocess.run([PROGRAM, "diff", a, b, "--json"], check=True, capture_output=True, text=True)
    return {tuple(row["draft"]) for row in json.loads(shown.stdout)["sentences"] if row["kind"] == "cut"}


def sentences(draft):
    """Every sentence of a draft: an empty revision cuts them one by one."""
    return sorted(cuts(draft, ""))


for part in REPORT["editing"]:
    for arm in part["arms"]:
        table = collections.Counter()
        for id in part["pairs"]:
            draft, finished = pairs[id]["prompt"], pairs[id]["response"]
            hers = cuts(draft, finished)
            for (run, _, name), samples in outputs.items():
                if f"{run}/{name}" != arm["arm"]:
                    continue
                for line in samples.values():
                    if plain(line["prompt_text"]) == plain(draft) and line["text"].strip():
                        model = cuts(draft, line["text"])
                        table.update((sentence in hers, sentence in model) for sentence in sentences(draft))
        both, hers, models, none = (table[key] for key in [(True, True), (True, False), (False, True), (False, False)])
        n = both + hers + models + none
        expected = {"precision": None, "recall": None, "f1": None, "kappa": None}
        if both + models:
            expected["precision"] = both / (both + models)
        if both + hers:
            expected["recall"] = both / (both + hers)
        if 2 * both + hers + models:
            expected["f1"] = 2 * both / (2 * both + hers + models)
        if n:
            chance = ((both + hers) * (both + models) + (models + none) * (hers + none)) / n**2
            if chance != 1:
                expected["kappa"] = ((both + none) / n - chance) / (1 - chance)
        for key, value in expected.items():
            compare(f"{key}: {part['run']} {arm['arm']}", arm["cut"][key], value)

print(", ".join(f"{count} x {what}" for what, count in compared.items()))
print(f"{sum(compared.values())} numbers compared, {differences} differ")
sys.exit(1 if differences else 0)
