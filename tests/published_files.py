"""Files of the forms that GEO series GSE114002 has, made of simulated measurements."""

import numpy as np
import pandas as pd

from ribocast.learn.data.assays import ASSAYS
from ribocast.learn.data.published.series import LIBRARIES
from ribocast.learn.data.simulate import simulate
from ribocast.sequence.construct import EGFP, MCHERRY

WEIGHTS_12 = tuple(float(number) for number in range(12))


def counted(rows, fractions):
    """Turn shares into counts of different depth in each fraction, and these into shares as the authors did."""
    shares = rows[[f"r{number}" for number in range(fractions)]].to_numpy()
    counts = np.rint(shares * rows["reads"].to_numpy()[:, None] * np.linspace(0.5, 2, fractions)) + 1
    relative = counts / counts.sum(axis=0)
    return counts, relative / relative.sum(axis=1, keepdims=True), relative


def table(utrs, counts, shares, weights, *, style, raw=True, reads="total", total=None):
    """Lay a table out; style "0" names fractions 0, 1 … and r0, r1 …, "00" names them 00, 01 … and r_00, r_01 …."""
    columns = {"utr": utrs}
    numbers = range(counts.shape[1])
    if raw:
        columns |= {f"{style[:-1]}{number}": counts[:, number] for number in numbers}
    if reads:
        columns[reads] = np.rint(counts).sum(axis=1).astype(int) if total is None else total[0]
    if total is not None:
        columns["total"] = total[1]
    prefix = "r" if style == "0" else "r_0"
    columns |= {f"{prefix}{number}": shares[:, number] for number in numbers}
    columns["rl"] = shares @ np.array(weights)
    return pd.DataFrame(columns)


def egfp_unmod_1(n=600, seed=1):
    """Fourteen fractions, relative abundances where counts are expected, total_reads beside a total of shares."""
    rows = simulate(n, seed=seed)
    counts, shares, relative = counted(rows, 14)
    total = (counts.sum(axis=1).astype(int), relative.sum(axis=1))
    weights = ASSAYS["egfp_random50"].fraction_weights
    return table(rows["seq"], relative, shares, weights, style="0", reads="total_reads", total=total)


def twelve(n=600, seed=2, after=EGFP.after[:9]):
    """Twelve fractions, counts, total; the sequences run on into the coding sequence."""
    rows = simulate(n, seed=seed, fraction_weights=WEIGHTS_12)
    counts, shares, _ = counted(rows, 12)
    return table(rows["seq"] + after, counts, shares, WEIGHTS_12, style="00")


def mcherry(n=600, seed=3):
    """Thirteen fractions, no counts."""
    weights = (*WEIGHTS_12, 12.0)
    rows = simulate(n, seed=seed, fraction_weights=weights)
    counts, shares, _ = counted(rows, 13)
    return table(rows["seq"] + MCHERRY.after[:9], counts, shares, weights, style="0", raw=False)


def varying(n=3000, seed=4):
    """Thirteen fractions, no counts, 25 to 100 nt, random and human."""
    weights = ASSAYS["egfp_varying25to100"].fraction_weights
    rows = simulate(n, seed=seed, min_length=25, max_length=100, fraction_weights=weights, reads=60)
    counts, shares, relative = counted(rows, 13)
    total = (np.rint(rows["reads"] / 4).astype(int), relative.sum(axis=1))
    laid = table(rows["seq"], counts, shares, weights, style="0", raw=False, reads="total_reads", total=total)
    return laid.assign(len=rows["seq"].str.len(), set=np.where(np.arange(n) % 5 == 0, "human", "random"))


def designed(n=400, seed=5):
    """Fourteen fractions and counts: human UTRs, references with two variants each, and other designs."""
    rng = np.random.default_rng(seed)
    rows = simulate(n, seed=seed, fraction_weights=ASSAYS["egfp_human50"].fraction_weights)
    seqs = rows["seq"].tolist()
    library = ["human_utrs"] * n
    info4, mother, names = [""] * n, seqs.copy(), [f"utr{number}" for number in range(n)]
    made = [True] * n
    for reference in range(0, n // 2, 4):
        names[reference], library[reference], info4[reference] = f"NC_{reference}:g.1C>T", "snv", "normal"
        for step in (1, 2):
            at = int(rng.integers(25)) * 2 + step - 1
            letter = next(letter for letter in "ACGT" if letter != seqs[reference][at])
            row = reference + step
            seqs[row] = seqs[reference][:at] + letter + seqs[reference][at + 1 :]
            library[row], info4[row], mother[row] = "snv", "variant", seqs[reference]
            names[row] = f"{names[reference]}_v{step}"
        made[reference + 2] = reference % 8 == 0
    for other in range(n - 40, n):
        library[other] = "target_no_uaug_no_stop"
    counts, shares, _ = counted(rows, 14)
    laid = table(seqs, counts, shares, ASSAYS["egfp_human50"].fraction_weights, style="0")
    return laid.assign(
        id=names, info1="", info2="", info3=library, info4=info4, library=library, mother=mother, designed=made
    )


FORMS = {
    "egfp_random50": egfp_unmod_1,
    "egfp_random50_pseudo": twelve,
    "egfp_random50_m1psi": twelve,
    "mcherry_random50": mcherry,
    "egfp_human50": designed,
    "egfp_varying25to100": varying,
}


def write(frame, folder, name, replicate=1):
    """Write a file under its published name, with the unnamed column of row numbers that they all have."""
    path = folder / LIBRARIES[name].files[replicate - 1].name
    frame.to_csv(path)
    return path
