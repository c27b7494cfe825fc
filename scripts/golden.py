#!/usr/bin/env python3
"""Writes testdata/*.json: golden values of the formulas, computed independently of the Rust code.

Plain Python, no packages. `f32` marks where a number is rounded to float32: of two float32 numbers, Python's float64
sum, difference, product, quotient and square root, rounded once more, are the correctly rounded float32 ones (float64
has more than 2 * 24 + 2 bits), so these cases are compared bit for bit. Results that need an exponential, a logarithm
or a cosine are in float64, for a comparison within a derived error bound.

    python3 scripts/golden.py            writes the files
    python3 scripts/golden.py --check    exits 1 if a file differs from what would be written
"""

import json
import math
import random
import struct
import sys
from fractions import Fraction
from functools import reduce
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "testdata"
LARGEST = 3.4028234663852886e38
SMALLEST = 1.401298464324817e-45


def f32(x):
    """The nearest float32, as a float64."""
    return struct.unpack("<f", struct.pack("<f", x))[0]


def f32_of_fraction(x):
    """The nearest float32 to an exact fraction, ties to even."""
    if x == 0:
        return 0.0
    sign, x = (-1.0, -x) if x < 0 else (1.0, x)
    exponent = max(x.numerator.bit_length() - x.denominator.bit_length() - 24, -149)
    for exponent in (exponent, exponent + 1, exponent + 2):
        digits = round(x / Fraction(2) ** exponent)  # round() goes to even
        if digits <= 1 << 24:
            return sign * math.ldexp(digits, exponent)
    raise ValueError("exponent")


def fma32(a, b, c):
    return f32_of_fraction(Fraction(a) * Fraction(b) + Fraction(c))


def sigmoid(x):
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    e = math.exp(max(x, -745.5))
    return e / (1 + e)


# --- acceptance ------------------------------------------------------------------------------------------------------


def probability(belief, distance, max_distance=5.0, scale=10_000.0, baseline=0.1):
    return min(max(max(0.0, 1 - distance / max_distance) * sigmoid(belief * scale) + baseline, 0.0), 1.0)


def acceptance():
    # The table of the specification. Its third row follows the formula, not the misprint in the original experiment.
    printed = {
        0.0006: [0.8980, 0.4990, 0.2995, 0.1],
        0.0000: [0.5000, 0.3000, 0.2000, 0.1],
        0.0002: [0.8046, 0.4523, 0.2762, 0.1],
    }
    table = [
        {"belief": b, "distance": d, "probability": p}
        for b, row in printed.items()
        for d, p in zip([1.0, 3.0, 4.0, 5.0], row)
    ]
    cases = []

    def case(belief, distance, max_distance=5.0, scale=10_000.0, baseline=0.1):
        belief, distance, max_distance, scale, baseline = map(f32, (belief, distance, max_distance, scale, baseline))
        cases.append(
            dict(belief=belief, distance=distance, max_cluster_distance=max_distance, sigmoid_scale=scale,
                 baseline=baseline, probability=probability(belief, distance, max_distance, scale, baseline))
        )

    for b in (0.0, SMALLEST, 1e-6, 1 / 19130, 0.0002, 0.000246, 0.0006, 0.001, 0.0083, 0.5, 1.0):
        for d in (0.0, 0.5, 2.5, 4.999, 5.0, 5.001, 1e30, LARGEST):
            case(b, d)
    for scale in (0.0, 1.0, 1e30, LARGEST):
        for baseline in (0.0, 0.5, 1.0):
            case(0.3, 1.0, 2.0, scale, baseline)
    case(0.1, 1e-30, 1.1754943508222875e-38)  # the smallest valid maximum: nearness does not overflow
    sigmoids = [
        {"x": x, "sigmoid": sigmoid(x)}
        for x in (0.0, 1.0, -1.0, 2.0, 4.0, -4.0, 16.0, -16.0, 80.0, -80.0, 500.0, -500.0, 1e30, -1e30,
                  LARGEST, -LARGEST)
    ]
    return {"table": table, "cases": cases, "sigmoid": sigmoids}


# --- belief update ---------------------------------------------------------------------------------------------------

TARGET = [f32(x) for x in (0.69958, 0.07083, 0.07386, 0.07219, 0.08353)]


def update(beliefs, counts, target, increment):
    """In float32, operation by operation. `f32` of a Python operation on float32 numbers is the float32 operation."""
    if not any(counts):
        return list(beliefs)
    moved = [max(f32(b + f32(n * increment)), 0.0) for b, n in zip(beliefs, counts)]
    total = 0.0
    for b in moved:
        total = f32(total + b)
    if total > 1:
        moved = [f32(b / total) for b in moved]
    return [min(b, t) for b, t in zip(moved, target)]


def belief_update():
    draw = random.Random(1)
    cases = []

    def case(name, beliefs, counts, target=TARGET, increment=0.01):
        beliefs, target, increment = [f32(b) for b in beliefs], [f32(t) for t in target], f32(increment)
        after = update(beliefs, counts, target, increment)
        cases.append(dict(name=name, beliefs=beliefs, accepted=counts, target=target, increment=increment, after=after))

    case("the original experiment's example", [0, 0, 0, 0, 0.001], [0, 0, 0, 0, 3])
    case("nothing accepted", [0.1, 0.02, 0, 0, 0.001], [0, 0, 0, 0, 0])
    case("nothing accepted, beliefs above the target stay", [0.9, 0.09, 0.2, 0, 0], [0, 0, 0, 0, 0])
    case("one of each", [0, 0, 0, 0, 0], [1, 1, 1, 1, 1])
    case("capped by the target", [0.69, 0.07, 0.07, 0.07, 0.08], [1, 1, 1, 1, 1])
    case("at the target, one cluster's acceptances shrink the others", TARGET, [0, 20, 0, 0, 0])
    case("sum over 1", [0.5, 0.06, 0.06, 0.06, 0.06], [100, 0, 0, 0, 0])
    case("sum far over 1", [0, 0, 0, 0, 0], [20, 20, 20, 20, 20], increment=1.0)
    case("a negative belief becomes 0", [-0.5, 0, 0, 0, 0], [1, 0, 0, 0, 0])
    case("one cluster", [0.25], [7], target=[1.0])
    case("fractional counts", [0.1, 0.02, 0, 0, 0.001], [0.25, 0.5, 1.75, 0, 0.125])
    for n in range(40):
        clusters = draw.choice([1, 2, 3, 5, 9])
        weights = [draw.random() ** 3 for _ in range(clusters)]
        target = [w / (sum(weights) * 1.0001) for w in weights]
        beliefs = [f32(t) * draw.choice([0, 1e-4, 0.5, 0.99, 1]) for t in target]
        case(f"random {n}", beliefs, [draw.randrange(8) for _ in target], target, draw.choice([0.01, 0.1, 1.0]))
    return {"cases": cases}


# --- reward ----------------------------------------------------------------------------------------------------------


def score(kind, beliefs, target):
    total = lambda values: reduce(lambda s, v: f32(s + v), values, 0.0)
    if kind == "distance":
        return f32(1 - f32(total([abs(f32(t - b)) for b, t in zip(beliefs, target)]) / total(target)))
    engagement = min(f32(total(beliefs) / total(target)), 1.0)
    dot = total([f32(b * t) for b, t in zip(beliefs, target)])
    bb, tt = total([f32(b * b) for b in beliefs]), total([f32(t * t) for t in target])
    lengths = f32(f32(math.sqrt(bb)) * f32(math.sqrt(tt)))
    alignment = min(max(f32(dot / lengths), 0.0), 1.0) if lengths > 0 else 0.0
    return f32(engagement * alignment)


def reward(form, kind, before, after, target, scale, limit, threshold, factor, bonus):
    distances = lambda beliefs: [abs(f32(t - b)) for b, t in zip(beliefs, target)]
    distances_before, distances_after = distances(before), distances(after)
    gained = sum_before = sum_after = 0.0
    for x, y in zip(distances_before, distances_after):
        gained = f32(gained + max(f32(x - y), 0.0))
        sum_before, sum_after = f32(sum_before + x), f32(sum_after + y)
    score_after = score(kind, after, target)
    delta = f32(score_after - score(kind, before, target))
    if form == "potential":
        value = f32(scale * f32(sum_before - sum_after))
    elif form == "strict":
        value = f32(scale * gained) if delta >= threshold else 0.0
    elif any(y < x for x, y in zip(distances_before, distances_after)):
        value = f32(f32(scale * gained) + (bonus if delta >= threshold else 0.0))
    elif delta > -threshold:
        value = f32(factor * score_after)
    else:
        value = f32(scale * delta)
    return min(max(value, -limit), limit)


def rewards():
    draw = random.Random(2)
    moves = [("nothing moved", TARGET, [f32(t / 2) for t in TARGET], [f32(t / 2) for t in TARGET])]
    moves.append(("from nothing to nothing", TARGET, [0.0] * 5, [0.0] * 5))
    moves.append(("at the target", TARGET, TARGET, TARGET))
    moves.append(("from nothing to the target", TARGET, [0.0] * 5, TARGET))
    moves.append(("everything lost", TARGET, TARGET, [0.0] * 5))
    moves.append(("a full user shrunk", TARGET, TARGET, update(TARGET, [0, 20, 0, 0, 0], TARGET, f32(0.01))))
    moves.append(("a small loss", TARGET, TARGET, [f32(t * 0.999) for t in TARGET]))
    moves.append(("one cluster", [1.0], [0.25], [0.5]))
    moves.append(("as much lost as gained: a score that rose by 0", [0.5, 0.5], [0.25, 0.5], [0.5, 0.25]))
    for n in range(12):
        before = [f32(t * draw.choice([0, 1e-3, 0.3, 0.9, 1])) for t in TARGET]
        after = update(before, [draw.randrange(5) for _ in before], TARGET, f32(0.01))
        moves.append((f"random {n}", TARGET, before, after))
    cases = []
    for name, target, before, after in moves:
        for form in ("strict", "hybrid", "potential"):
            for kind in ("combined", "distance"):
                for scale, limit, threshold, factor, bonus in (
                    (100.0, 100.0, f32(0.01), f32(0.7), f32(0.2)),
                    (100.0, 2.0, 0.0, -1.0, 5.0),
                    (100.0, 100.0, 0.0, -1.0, 5.0),
                ):
                    value = reward(form, kind, before, after, target, scale, limit, threshold, factor, bonus)
                    cases.append(
                        dict(name=name, form=form, score=kind, target=target, before=before, after=after, scale=scale,
                             max=limit, threshold=threshold, maintenance_factor=factor, exploration_bonus=bonus,
                             reward=value)
                    )
    scores = [
        dict(beliefs=b, target=t, combined=score("combined", b, t), distance=score("distance", b, t))
        for _, t, *both in moves
        for b in both
    ]
    return {"cases": cases, "scores": scores}


# --- slate -----------------------------------------------------------------------------------------------------------


def dot32(action, row):
    total = 0.0
    for a, x in zip(action, row):
        total = fma32(a, x, total)
    return total


def normalized(row):
    length = math.sqrt(sum(x * x for x in row))
    return [f32(x / length) for x in row] if length > 0 else row


def slates():
    draw = random.Random(3)
    normal = lambda n, size=1.0: [f32(draw.gauss(0, size)) for _ in range(n)]
    scores = []
    for n, size in ((1, 1.0), (2, 1e-20), (3, 1e15), (64, 1.0), (64, 0.1), (65, 1.0), (130, 1e-3)):
        for _ in range(4):
            action, row = normal(n), normal(n, size)
            scores.append(dict(action=action, row=row, score=dot32(action, row)))
    scores.append(dict(action=[0.0] * 3, row=[0.0] * 3, score=0.0))
    rows = [normal(n) for n in (1, 2, 5, 64)]
    rows += [[0.0, 0.0], [f32(3e-30), f32(4e-30)], [f32(1e30), 0.0], [SMALLEST, 0.0]]
    normalized_rows = [dict(row=row, normalised=normalized(row)) for row in rows]

    slates = []

    def slate(name, items, action, rl_slots, slate_len, pretrained):
        order = sorted(range(len(items)), key=lambda i: (-dot32(action, items[i]), i))
        best = order[:rl_slots]
        rest = [i for i in pretrained if i not in best][: slate_len - rl_slots]
        slates.append(
            dict(name=name, items=items, action=action, chosen=rl_slots, pretrained=pretrained, slate=best + rest)
        )

    items = [normal(4) for _ in range(30)]
    everything = list(range(30))
    draw.shuffle(everything)
    slate("the best first, then the list", items, normal(4), 5, 12, everything[:12])
    by_score = sorted(range(30), key=lambda i: -dot32(items[3], items[i]))
    slate("the list holds the chosen ones", items, items[3], 6, 12, by_score[:12])
    slate("every item is shown", items, normal(4), 10, 30, everything)
    slate("only chosen ones", items, normal(4), 12, 12, everything[:12])
    slate("equal items go by index", [[1.0, 2.0]] * 8, [0.5, 0.5], 3, 6, [7, 6, 5, 4, 3, 2])
    slate("a zero action gives the first items", items, [0.0] * 4, 5, 8, [4, 3, 2, 1, 0, 9, 8, 7])
    slate("a zero row beats a negative score", [[-1.0], [0.0], [-2.0], [1.0]], [1.0], 4, 4, [0, 1, 2, 3])
    slate("one item", [[1.0]], [-1.0], 1, 1, [0])
    return {"scores": scores, "normalise": normalized_rows, "slates": slates}


# --- randomness ------------------------------------------------------------------------------------------------------

MASK = (1 << 64) - 1


def fold_in(key, coordinate):
    """Output number `coordinate` of the SplitMix64 generator (Steele, Lea and Flood, 2014) that starts at `key`."""
    z = (key + (coordinate + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def normal_pair(key):
    high, low = key >> 32, key & 0xFFFFFFFF
    u = f32(f32(f32(high) + 1) * 2.0**-32)
    angle = f32(f32(low) * f32(2.0**-32 * f32(math.tau)))
    radius = math.sqrt(-2 * math.log(u))
    return [radius * math.cos(angle), radius * math.sin(angle)]


def keep_mask(layer, row, column_of_four, threshold):
    bits = fold_in(fold_in(layer, row), column_of_four)
    return sum(1 << unit for unit in range(4) if (bits >> (16 * unit)) & 0xFFFF >= threshold)


def rng():
    purposes = ["Acceptance", "Exploration", "Initial", "Sample", "TargetNoise", "Dropout", "World"]
    purposes += ["EvaluationAcceptance"]
    keys, draws, masks = [], [], []
    for seed in (0, 1, 42, MASK):
        for number, purpose in enumerate(purposes, 1):
            for path in ([], [1], [1, 2, 3, 4], [10, 20, 49_999, 19_129], [MASK, 0, 1 << 63]):
                key = fold_in(seed, number)
                for coordinate in path:
                    key = fold_in(key, coordinate)
                keys.append(dict(seed=seed, purpose=purpose, path=path, bits=key))
    for n in range(64):
        path = [n, 7]
        key = fold_in(fold_in(fold_in(0, 1), n), 7)  # seed 0, acceptance
        length = [1, 2, 19_130, 1_000_000, (1 << 32) - 1][n % 5]
        draws.append(
            dict(path=path, uniform=(key >> 40) / 2**24, length=length, index=key * length >> 64,
                 normal_pair=normal_pair(key))
        )
    for share, threshold in ((0.0, 0), (0.1, 6554), (0.5, 32768), (1.0, 65535)):
        for row, column in ((0, 0), (3, 1), (511, 127)):
            layer = fold_in(fold_in(fold_in(fold_in(9, 6), 5), 1), 2)  # seed 9, dropout, update 5, critic 1, layer 2
            masks.append(
                dict(share=share, threshold=threshold, row=row, column_of_four=column,
                     kept=keep_mask(layer, row, column, threshold))
            )
    return {"keys": keys, "draws": draws, "dropout": masks}


# --- reports and learning --------------------------------------------------------------------------------------------


def pp1_distance():
    draw = random.Random(5)
    cases = []

    def case(beliefs, target):
        # Computes both centroids, where the Rust code computes the difference's: two ways to the same number.
        centroid = lambda values: [
            sum(v * wave(math.tau * i / len(values)) for i, v in enumerate(values)) / len(values)
            for wave in (math.cos, math.sin)
        ]
        (x, y), (s, t) = centroid(beliefs), centroid(target)
        cases.append(dict(beliefs=beliefs, target=target, distance=math.hypot(x - s, y - t)))

    case([0.0] * 5, TARGET)
    case(TARGET, TARGET)
    case([f32(t / 2) for t in TARGET], TARGET)
    for clusters in (1, 2, 3, 5, 8):
        case([f32(draw.random() / clusters) for _ in range(clusters)], [f32(1 / clusters - 1e-7)] * clusters)
    return {"cases": cases}


def adam():
    """Adam as in its paper, in float64, with bias-corrected moments."""
    draw = random.Random(6)
    cases = []
    for rate, limit in ((3e-4, 1.0), (0.1, 1e-3), (1e-2, 1e9)):
        p, m, v = 0.5, 0.0, 0.0
        gradients, parameters = [draw.gauss(0, 10 ** draw.uniform(-6, 2)) for _ in range(8)], []
        for t, g in enumerate(gradients, 1):
            g *= min(1.0, limit / (abs(g) + 1e-6))
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            p -= rate * (m / (1 - 0.9**t)) / (math.sqrt(v / (1 - 0.999**t)) + 1e-8)
            parameters.append(p)
        cases.append(
            dict(learning_rate=rate, grad_clip_norm=limit, start=0.5, gradients=gradients, parameters=parameters,
                 first=m, second=v)
        )
    return {"cases": cases}


FILES = {
    "acceptance": acceptance,
    "belief_update": belief_update,
    "reward": rewards,
    "slate": slates,
    "rng": rng,
    "pp1_distance": pp1_distance,
    "adam": adam,
}


def main():
    stale = []
    for name, compute in FILES.items():
        tables = compute()
        lines = [f' "{table}": [\n  ' + ",\n  ".join(map(json.dumps, rows)) + "\n ]" for table, rows in tables.items()]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        path = FOLDER / f"{name}.json"
        if "--check" in sys.argv[1:]:
            if not path.exists() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    if stale:
        sys.exit(f"differs from what scripts/golden.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
