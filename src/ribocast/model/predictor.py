"""A trained model as an object: sequences in, a table of mean ribosome loads (MRLs) out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from ribocast.errors import InputError, OptionError, SequenceError
from ribocast.io.columns import column_called
from ribocast.model.applicability import Unusual, how_unusual, interval_scaling, remark
from ribocast.model.bundle import DEFAULT_MODEL, AssayCard, Bundle, Interval, ModelCard, open_bundle
from ribocast.model.engine import Engine, EngineName, Outputs, start_engine
from ribocast.model.stopping import check_stopped
from ribocast.sequence.batch import Batch, read_batch
from ribocast.sequence.letters import SEQUENCE_NAMES, Fault, Letters
from ribocast.sequence.start_codon import cut_at_start as cut_batch
from ribocast.sequence.start_codon import join_notes, start_notes

if TYPE_CHECKING:
    import pandas as pd

_BATCH_LETTERS = 256 * 50
# Where a processor has AVX2 at most, OpenVINO adds up products of 90 rows and more in another order: numbers would
# differ in their last bit by what shares a batch. (Found by trying; more rows are not faster anywhere.)
_MOST_ROWS = 80
_BASES = np.frombuffer(b"ACGT", dtype=np.uint8)
# Fewer rows than this are not shared out between streams.
_LEAST_ROWS = 16
_ROUND_ROWS = 4
LONGEST = 100_000
"""Letters of the longest sequence that is predicted: a chromosome given by mistake would else take all memory."""
# Six an octave, 25, 50 and 100 nt among them: every width costs a kernel, and every letter of padding its arithmetic.
_WIDTHS = np.unique(np.ceil(50 * 2.0 ** (np.arange(-36, 67) / 6)).astype(np.int64))


def load(model: str | Path = DEFAULT_MODEL, *, engine: EngineName = "auto", threads: int | None = None) -> Predictor:
    """Load a trained model.

    Parameters
    ----------
    model : str or Path
        The name of a shipped model, or a folder that `ribocast train` wrote.
    engine : {"auto", "openvino", "openvino-bf16", "torch"}
        What runs it; see `ribocast.model.engine.start_engine`.
    threads : int, optional
        CPU threads; all cores without it.

    Raises
    ------
    RibocastError
        If there is no such model or its files are not what ``model.json`` says.
    """
    return Predictor(open_bundle(model), engine=engine, threads=threads)


class Predictor:
    """A loaded model.

    Attributes
    ----------
    bundle : Bundle
        Where it came from.
    card : ModelCard
        Everything known about it: assays, figures, training.
    """

    def __init__(self, bundle: Bundle, *, engine: EngineName = "auto", threads: int | None = None) -> None:
        self.bundle = bundle
        self.card: ModelCard = bundle.card
        self.engine: Engine = start_engine(bundle, engine, threads=threads)
        self._threads = threads

    def __reduce__(self) -> tuple[Callable[..., Predictor], tuple[Bundle]]:
        """Go to another process as the folder's name: what runs here stays here."""
        return partial(Predictor, engine=cast("EngineName", self.engine.name), threads=self._threads), (self.bundle,)

    def predict(
        self,
        utrs: str | Iterable[str] | pd.Series | pd.DataFrame,
        *,
        assay: str | None = None,
        profile: bool = False,
        cut_at_start: bool = False,
    ) -> pd.DataFrame:
        """Predict the mean ribosome load (MRL) of sequences.

        Parameters
        ----------
        utrs : list of str, pandas.Series or pandas.DataFrame
            5′→3′, each ending right before the start codon; of a frame, its sequence column.
        assay : str, optional
            In which assay's units; the model's default assay without it.
        profile : bool
            Add the polysome profile, ``r0`` …: the share of ribosome-loaded mRNA in each fraction of the assay. Its
            weighted mean is ``mrl``.
        cut_at_start : bool
            Leave out the start codon, and what follows it, of sequences that likely hold it; see
            `ribocast.sequence.start_codon.find_start`.

        Returns
        -------
        pandas.DataFrame
            One row per sequence, in order, under the index of a frame or Series: ``seq``, as given; ``mrl``, ribosomes
            per mRNA; ``mrl_low`` and ``mrl_high``, a 90 % prediction interval for a measurement (empty if the model has
            none); ``note``, what is unusual about the sequence for this assay, whether it likely holds its start codon,
            and what was cut.

        Raises
        ------
        SequenceError
            At the first sequence that cannot be used; see `faults`.
        RibocastError
            If the model does not know the assay, or gives no profile, or a frame has no sequence column.
        """
        import pandas as pd

        sequences = _sequences(utrs)
        card = self.card.assay(assay)
        if profile:
            self.check_profile()
        batch = _read(sequences)
        cuts = [""] * len(batch)
        if cut_at_start:
            batch, cuts = cut_batch(batch)
        columns = self.columns(batch, self.run(batch)[:, self.number(card)], card, profile=profile)
        columns["note"] = join_notes(cuts, columns["note"])
        return pd.DataFrame({"seq": sequences, **columns}, index=index_of(utrs))

    def columns(self, batch: Batch, outputs: Outputs, assay: AssayCard, *, profile: bool = False) -> dict[str, Any]:
        """Return what `predict` adds, by column, from what the network gave for an assay, (n, width).

        All are arrays of numbers, shape (n,), but ``note``, the last, which is a list of str.
        """
        mrl = to_mrl(outputs, assay)
        unusual = how_unusual(batch, assay)
        low, high = interval(assay, mrl, interval_scaling(unusual, assay))
        columns: dict[str, Any] = {"mrl": mrl, "mrl_low": low, "mrl_high": high}
        if profile:
            columns |= {f"r{number}": outputs[:, number] for number in range(len(assay.fraction_weights or ()))}
        return {**columns, "note": self.notes(batch, assay, unusual)}

    def mrl(self, utrs: Sequence[str], *, assay: str | None = None) -> NDArray[np.float64]:
        """Predict mean ribosome loads (MRLs), nothing else; shape (n,), ribosomes per mRNA."""
        card = self.card.assay(assay)
        return to_mrl(self.outputs(utrs)[:, self.number(card)], card)

    def substitutions(self, utr: str, *, assay: str | None = None) -> NDArray[np.float64]:
        """Predict the MRL of every single substitution of a sequence.

        Parameters
        ----------
        utr : str
            5′→3′, ending right before the start codon.
        assay : str, optional
            In which assay's units; the model's default assay without it.

        Returns
        -------
        numpy.ndarray of float64, shape (length, 4)
            Ribosomes per mRNA with A, C, G or T (in this order) at each position; the sequence's own MRL where that
            is the base it has.

        Raises
        ------
        SequenceError
            If the sequence cannot be used; see `faults`.
        RibocastError
            If the model does not know the assay.
        """
        card = self.card.assay(assay)
        own_batch = _read([utr])
        length, width = len(utr), int(padded(own_batch.lengths)[0])
        own = own_batch.rows(np.zeros(1, dtype=np.int64), width)  # (1, width), padded as `run` does
        # The sequence itself, then its substitutions, position by position.
        positions, bases = np.nonzero(own[0, -length:, None] != _BASES)
        columns = np.append(width - 1, width - length + positions)
        letter = np.append(own[0, -1], _BASES[bases])
        count, streams = len(columns), self.engine.streams
        most = _most_rows(width)
        rows = _evenly(count, min(most, max(2, -(-count // streams))), streams)  # see `run` for rows that are alone

        def batches() -> Iterator[Letters]:
            for start in range(0, count, rows):
                check_stopped()
                # The last batch is filled up: to run another number of rows would cost more than they do.
                which = np.minimum(np.arange(start, start + rows), count - 1)
                letters = np.repeat(own, rows, axis=0)
                letters[np.arange(rows), columns[which]] = letter[which]
                yield self._fit_length(letters)

        outputs = np.concatenate(self.engine.run(batches()))[:count]
        mrl = to_mrl(outputs[:, self.number(card)], card)
        mrls = np.full((length, len(_BASES)), mrl[0])
        mrls[positions, bases] = mrl[1:]
        return mrls

    def profile(self, utrs: Sequence[str], *, assay: str | None = None) -> Outputs:
        """Predict polysome profiles, nothing else; shape (n, fractions of the assay), shares that sum to 1."""
        self.check_profile()
        card = self.card.assay(assay)
        return self.outputs(utrs)[:, self.number(card), : len(card.fraction_weights or ())]

    def check_profile(self) -> None:
        """Raise RibocastError unless the model gives polysome profiles."""
        if self.card.output != "fractions":
            raise OptionError(f"the model {self.card.name!r} gives no polysome profile, only MRLs")

    def faults(self, utrs: Sequence[object]) -> list[Fault]:
        """Find every sequence that cannot be predicted: missing, empty, with a wrong letter, or over 100,000 nt."""
        return read_batch(utrs, LONGEST)[1]

    def outputs(self, utrs: Sequence[str]) -> Outputs:
        """Run the network; shape (n, assays, width): polysome fractions, or one standardised MRL."""
        return self.run(_read(_sequences(utrs)))

    def run(self, batch: Batch, *, before_batch: Callable[[], None] | None = None) -> Outputs:
        """Run the network on sequences that were checked; what `before_batch` raises ends the run.

        So does `ribocast.model.stopping.stopping_when`. Several threads may run at once.
        """
        result = np.empty((len(batch), len(self.card.assays), self.card.width), dtype=np.float32)
        order = np.argsort(batch.lengths, kind="stable")
        # A network of one length pads all rows to it.
        widths = np.maximum(padded(batch.lengths[order]), self.card.fixed_length or 0)
        batches = _batches(widths, order, self.engine.streams)

        def letters() -> Iterator[Letters]:
            for width, rows in batches:
                check_stopped()
                if before_batch:
                    before_batch()
                # One row alone is added up in another order than several, unless it always is alone.
                together = np.repeat(rows, 2) if len(rows) == 1 < _most_rows(width) else rows
                yield self._fit_length(batch.rows(together, width))

        for (_, rows), output in zip(batches, self.engine.run(letters()), strict=True):
            result[rows] = output[: len(rows)]
        return result

    def number(self, card: AssayCard) -> int:
        """Return the index of an assay among the network's outputs."""
        return [known.name for known in self.card.assays].index(card.name)

    def notes(
        self, utrs: Batch, assay: AssayCard, unusual: Unusual | None = None, *, starts: list[str] | None = None
    ) -> list[str]:
        """Say what is unusual about each sequence for an assay; empty where nothing is.

        `starts` says whether each likely holds its start codon; it is looked for without it.
        """
        unusual = unusual or how_unusual(utrs, assay)
        notes = start_notes(utrs) if starts is None else [*starts]
        most = self.card.fixed_length
        cut = np.zeros(len(utrs), dtype=bool) if most is None else utrs.lengths > most
        for row in map(int, np.flatnonzero(unusual.worth_saying | cut)):
            remarks = [notes[row]] if notes[row] else []
            remarks += remark(assay, int(utrs.lengths[row]), unusual.of(row))
            if cut[row]:
                remarks.append(f"only the last {most} nt are read")
            notes[row] = "; ".join(remarks)
        return notes

    def _fit_length(self, letters: NDArray[np.uint8]) -> NDArray[np.uint8]:
        length = self.card.fixed_length
        if length is None or letters.shape[1] == length:
            return letters
        letters = letters[:, -length:]
        return np.pad(letters, ((0, 0), (length - letters.shape[1], 0)))


def _read(utrs: Sequence[str]) -> Batch:
    batch, faults = read_batch(utrs, LONGEST)
    if faults:
        raise SequenceError(*faults[0])
    return batch


def to_mrl(outputs: Outputs, assay: AssayCard) -> NDArray[np.float64]:
    """Turn one assay's outputs, shape (n, width), into mean ribosome loads (MRLs), shape (n,).

    MRL = Σ rᵢ·wᵢ over polysome fractions (Sample et al. 2019); a scalar output is un-standardised.
    """
    if assay.fraction_weights is not None and outputs.shape[1] > 1:
        weights = np.zeros(outputs.shape[1])
        weights[: len(assay.fraction_weights)] = assay.fraction_weights
        # Row by row: a product of matrices adds up in an order that depends on how many rows there are.
        return np.asarray((outputs * weights).sum(axis=1), dtype=np.float64)
    return np.asarray(outputs[:, 0] * assay.label_scale + assay.label_mean, dtype=np.float64)


def interval(
    assay: AssayCard, mrl: NDArray[np.float64], scaling: float | NDArray[np.float64] = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the calibrated interval around predictions, all of shape (n,); NaN where the assay has none.

    `scaling` is how many times wider than usual each is; see `ribocast.model.applicability`. The interval always holds
    the prediction, also where nearly all of the calibrating rows lay on one side, and ends where MRLs do: at the
    smallest and largest weight of the assay's fractions, if these are counts of ribosomes.
    """
    low, high = around(assay.interval, mrl, scaling)
    # Counts begin at none, and no MRL lies beyond them. Weights on a fine-tuned model's line are its reach, no bounds.
    if (weights := assay.fraction_weights) and min(weights) == 0:
        low, high = np.minimum(mrl, np.maximum(low, min(weights))), np.maximum(mrl, np.minimum(high, max(weights)))
    return low, high


def around(
    card: Interval | None, predicted: NDArray[np.float64], scaling: float | NDArray[np.float64] = 1.0
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give the ends of a calibrated interval; see `interval`."""
    if card is None:
        unknown = np.full(predicted.shape, np.nan)
        return unknown, unknown.copy()
    bins = np.searchsorted(card.edges, predicted, side="right")
    below, above = np.maximum(card.below, 0.0), np.maximum(card.above, 0.0)
    return predicted - scaling * below[bins], predicted + scaling * above[bins]


def padded(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many letters sequences are padded to: as many as they have, or up to an eighth more.

    It depends on a sequence's own length alone, and not on what shares a batch with it, so that its numbers are the
    same to the last bit whatever the rest of the batch: in another order, another shard, or alone.
    """
    return _WIDTHS[np.searchsorted(_WIDTHS, lengths)]


def _batches(
    widths: NDArray[np.int64], order: NDArray[np.int64], streams: int
) -> list[tuple[int, NDArray[np.int64]]]:  # fmt: skip
    """Divide rows, in the order of their widths, into batches of one width each."""
    batches, start = [], 0
    # A few rows are shared out, so that no stream is idle.
    most = max(_LEAST_ROWS, -(-len(order) // streams))
    while start < len(order):
        width = int(widths[start])
        stop = int(np.searchsorted(widths, width, side="right"))
        rows = _evenly(stop - start, min(most, _most_rows(width)), streams)
        batches += [(width, order[at : min(at + rows, stop)]) for at in range(start, stop, rows)]
        start = stop
    return batches


def _most_rows(width: int) -> int:
    return max(1, min(_MOST_ROWS, _BATCH_LETTERS // width))


def _evenly(rows: int, most: int, streams: int) -> int:
    """Return how large batches of at most `most` rows are, so that every stream has equally many of them."""
    if rows <= most:
        return rows
    rounds = -(-rows // (most * streams))
    even = -(-rows // (rounds * streams))
    # Not of very few rows; and of few sizes, since every other one has kernels of its own.
    return min(most, max(_LEAST_ROWS, -(-even // _ROUND_ROWS) * _ROUND_ROWS))


def index_of(*rows: object) -> Any:
    """Return the index of the first of `rows` that has one, as pandas' frames and Series do; None if none has.

    Raises
    ------
    RibocastError
        If two have different ones: what belongs together would not stand side by side.
    """
    indexes = [one.index for one in rows if hasattr(one, "iloc") and hasattr(one, "index")]
    for other in indexes[1:]:
        if not indexes[0].equals(other):
            raise InputError("references and variants have different indexes: bring them into one order first")
    return indexes[0] if indexes else None


def _sequences(utrs: str | Iterable[str] | pd.Series | pd.DataFrame) -> list[str]:
    if isinstance(utrs, str):
        return [utrs]
    columns = getattr(utrs, "columns", None)
    if columns is not None:
        frame = cast("pd.DataFrame", utrs)
        if frame.columns.has_duplicates:
            raise InputError("the frame has columns of the same name")
        found = column_called(columns, SEQUENCE_NAMES)
        if found is None:
            known = ", ".join(map(str, columns))
            raise InputError(f"the frame has no sequence column ({', '.join(SEQUENCE_NAMES)}) among: {known}")
        utrs = cast("Iterable[str]", frame[found])
    return list(cast("Iterable[str]", utrs))
