"""A trained model on disk: a folder with ``model.json``, ``model.onnx`` and ``model.safetensors``.

``model.json`` says everything needed to use the model; the two others are its running and its learning form.
Nothing here executes what a folder holds: no pickle, sizes and hashes are checked before anything is loaded.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, NoReturn

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ribocast.errors import ModelError, OptionError, OutputError
from ribocast.io.safe_text import is_safe
from ribocast.io.writers import make_folder, whole_file
from ribocast.sequence.construct import Construct

FORMAT_VERSION = 1
CARD_NAME = "model.json"
RUNNING_NAME = "model.onnx"
LEARNING_NAME = "model.safetensors"
PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "default"
_LARGEST_CARD, _LARGEST_FILE = 16 << 20, 256 << 20
MOST_LETTERS = 10_000
"""Of the one length that a network takes, and of what stands around a UTR."""

# Wide enough for any unit; what is made of several such numbers is still far from the end of float64.
_Number = Annotated[float, Field(ge=-1e9, le=1e9)]
_Precise = Annotated[float, Field(ge=-1e18, le=1e18)]
_Numbers = Annotated[tuple[_Number, ...], Field(max_length=1_000)]
_LEAST_STEP = 1e-9
_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Text = Annotated[str, Field(max_length=10_000)]
_Bases = Annotated[str, Field(max_length=MOST_LETTERS)]
_Count = Annotated[int, Field(ge=1, le=1 << 53)]
_Sum = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def _not_zero(number: float) -> float:
    if not number:
        raise ValueError("must not be 0")
    return number


class _Card(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Composition(_Card):
    """The shares of A, C and G in the sequences that were measured: their mean, and the inverse of their covariance."""

    mean: tuple[_Number, _Number, _Number]
    precision: tuple[tuple[_Precise, _Precise, _Precise], tuple[_Precise, _Precise, _Precise],
                     tuple[_Precise, _Precise, _Precise]]  # fmt: skip


class Knots(_Card):
    """A line from knot to knot: `factor`, from 1 on and never falling, at rising values."""

    at: _Numbers = (0.0,)
    factor: _Numbers = (1.0,)

    @model_validator(mode="after")
    def _fits(self) -> Knots:
        if not len(self.at) == len(self.factor) > 0:
            raise ValueError("at and factor must have as many numbers, at least one")
        if any(other - one < _LEAST_STEP for one, other in pairwise(self.at)):
            raise ValueError("at must rise")
        if self.factor[0] < 1 or list(self.factor) != sorted(self.factor):
            raise ValueError("factor must begin at 1 or more and not fall")
        return self


class IntervalScaling(_Card):
    """How many times more was missed on unusual rows; see `ribocast.model.applicability`. The three are multiplied."""

    beyond: Knots = Knots()
    unknown: Knots = Knots()
    composition: Knots = Knots()


class Interval(_Card):
    """What was missed on rows the model had not seen, by predicted MRL (or change of MRL).

    With `b` the number of `edges` at or below a prediction and `w` the interval scaling, 90 % of the unseen rows lay
    between ``prediction - w · below[b]`` and ``prediction + w · above[b]`` (split-conformal, one bin an interval of
    predictions).
    """

    coverage: float = Field(gt=0, lt=1)
    edges: _Numbers
    below: _Numbers
    above: _Numbers
    rows: _Count
    scaling: IntervalScaling | None = None

    @model_validator(mode="after")
    def _fits(self) -> Interval:
        if len(self.below) != len(self.edges) + 1 or len(self.above) != len(self.below):
            raise ValueError("below and above must each have one number more than edges")
        if list(self.edges) != sorted(self.edges):
            raise ValueError("edges must rise")
        return self


class AssayCard(_Card):
    """One library or condition that a model knows.

    `label_mean` and `label_scale` are those of its training rows: a model with scalar output gives
    ``(mrl - label_mean) / label_scale`` (a negative scale where it was fine-tuned from a model whose MRLs rise as its
    labels fall). `fraction_weights` are the ribosomes per mRNA of each polysome fraction.
    `interval` is around predicted MRLs, `change_interval` around predicted log2 fold changes of variants.
    `measured_quantiles` are those of its measured labels, 0 to 100 % in steps of 5 %.
    """

    name: _Name
    description: _Text = ""
    before: _Bases
    after: _Bases
    min_length: _Count
    max_length: _Count
    label_mean: _Number
    label_scale: Annotated[float, Field(ge=-1e9, le=1e9), AfterValidator(_not_zero)]
    fraction_weights: tuple[_Number, ...] | None = Field(default=None, min_length=2, max_length=1_000)
    profile_measured: bool = False
    unit: _Name = "ribosomes per mRNA"
    composition: Composition | None = None
    interval: Interval | None = None
    change_interval: Interval | None = None
    measured_quantiles: tuple[float, ...] | None = Field(default=None, min_length=21, max_length=21)

    @model_validator(mode="after")
    def _consistent(self) -> AssayCard:
        if self.measured_quantiles and list(self.measured_quantiles) != sorted(self.measured_quantiles):
            raise ValueError("measured_quantiles must not fall")
        if self.min_length > self.max_length:
            raise ValueError(f"min_length {self.min_length} is more than max_length {self.max_length}")
        Construct(self.before, self.after)
        return self

    @property
    def surroundings(self) -> Construct:
        """What stands around the UTR."""
        return Construct(self.before, self.after)


class FileCard(_Card):
    """A file of the bundle, to be checked before it is read."""

    sha256: _Sum
    size: int = Field(ge=1, le=_LARGEST_FILE)


class TrainingData(_Card):
    """The rows of one assay that a model was trained on."""

    assay: _Name
    rows: _Count
    sha256: _Text


class Evaluation(_Card):
    """How well the model (or its like, trained without these rows) did on rows it had not seen."""

    assay: _Name
    subset: _Text
    split: _Text
    rows: int = Field(ge=0, le=1 << 53)
    pearson_r2: _Number
    pearson_r2_ci95: tuple[_Number, _Number] | None = None
    spearman_r: _Number | None = None
    mae: _Number | None = None


class ModelCard(_Card):
    """The contents of ``model.json``.

    `data` are the rows that the model was trained on; `tables` those and the rows held out of them to choose the epoch
    by; both count those of the model that a fine-tuned one was `started_from`. `distilled` are rows that nobody
    measured, labelled by other models (`ribocast.learn.distilled_rows`). `networks` are the SHA-256 sums of the
    learning files of those that a mean of several was made of.
    """

    format_version: Literal[1] = 1
    name: _Name
    architecture: _Name
    settings: dict[str, Any]
    output: Literal["fractions", "standardised"]
    fixed_length: int | None = Field(default=None, ge=1, le=MOST_LETTERS)
    alphabet: _Name = "ACGTUN"
    assays: tuple[AssayCard, ...] = Field(min_length=1, max_length=1_000)
    default_assay: _Name
    seed: int
    epoch: int
    recipe: dict[str, Any]
    started_from: _Text | None = None
    data: tuple[TrainingData, ...]
    tables: tuple[TrainingData, ...] = ()
    distilled: tuple[TrainingData, ...] = ()
    networks: tuple[_Text, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    packages: dict[str, str] = {}
    licence: _Text = "MIT"
    citation: _Text = ""
    files: dict[str, FileCard] = {}

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        names = [assay.name for assay in self.assays]
        if len(set(names)) < len(names):
            raise ValueError("an assay is named twice")
        if self.default_assay not in names:
            raise ValueError(f"default_assay {self.default_assay!r} is not one of the assays")
        if self.output == "fractions" and any(assay.fraction_weights is None for assay in self.assays):
            raise ValueError("output is fractions, but an assay has no fraction_weights")
        for name in self.files:
            if name not in (RUNNING_NAME, LEARNING_NAME):
                raise ValueError(f"{name!r} is not a file of a model")
        return self

    @property
    def width(self) -> int:
        """Numbers per assay that the network gives: the most fractions of any assay, or 1."""
        if self.output == "standardised":
            return 1
        return max(len(assay.fraction_weights or ()) for assay in self.assays)

    @property
    def contents(self) -> tuple[str, ...]:
        """The SHA-256 sums of all networks in it: those that it is the mean of, or its own."""
        return self.networks or tuple(file.sha256 for name, file in self.files.items() if name == LEARNING_NAME)

    @property
    def variant_assay(self) -> AssayCard:
        """The assay for variants: the first whose changes have an interval, else the default one."""
        return next((assay for assay in self.assays if assay.change_interval is not None), self.assay())

    @property
    def genome_assay(self) -> AssayCard:
        """The assay for UTRs of a genome, which are of any length: the first of those with the most lengths."""
        return max(self.assays, key=lambda assay: assay.max_length - assay.min_length)

    def assay(self, name: str | None = None) -> AssayCard:
        """Return the assay of that name (the default one without a name).

        Raises
        ------
        RibocastError
            If the model does not know it.
        """
        name = name or self.default_assay
        for assay in self.assays:
            if assay.name == name:
                return assay
        known = ", ".join(assay.name for assay in self.assays)
        raise OptionError(f"unknown assay {name!r}; the model {self.name!r} has: {known}")


@dataclass(frozen=True)
class Bundle:
    """A checked folder."""

    folder: Path
    card: ModelCard

    @property
    def running(self) -> Path:
        """The ONNX file."""
        return self.folder / RUNNING_NAME

    @property
    def learning(self) -> Path:
        """The safetensors file."""
        return self.folder / LEARNING_NAME

    @property
    def is_shipped(self) -> bool:
        """Whether it is part of this package, and so to be trusted as its code is."""
        return self.folder.parent == PRETRAINED

    def read(self, name: str) -> bytes:
        """Return a file's bytes: those that ``model.json`` describes, also if the file was exchanged meanwhile.

        Raises
        ------
        RibocastError
            If they are others, cannot be read, or were never written.
        """
        if name not in self.card.files:
            raise ModelError(f"{self.folder}: has no {name}: it was trained with export=False; use the engine torch")
        try:
            return _read_file(self.folder / name, self.card.files[name])
        except OSError as error:
            raise ModelError(f"{self.folder / name}: {error.strerror or error}") from None


def open_bundle(model: str | Path = DEFAULT_MODEL) -> Bundle:
    """Find a trained model and check its folder.

    Parameters
    ----------
    model : str or Path
        The name of a shipped model, or else a folder (also ``./default``, and a `Path` if it is there).

    Raises
    ------
    RibocastError
        If there is none, ``model.json`` is not valid, or a file's size or SHA-256 is not what it says.
    """
    folder = Path(model)
    try:
        # A folder that happens to be where the user is must not take the place of what the package brings.
        if str(model) in shipped_models() and (isinstance(model, str) or not folder.is_dir()):
            folder = PRETRAINED / model
        if not folder.is_dir():
            shipped = ", ".join(shipped_models()) or "none"
            raise ModelError(f"{model}: no such model; give a folder, or the name of a shipped one ({shipped})")
        card = _read_card(folder / CARD_NAME)
        if LEARNING_NAME not in card.files:
            raise ModelError(f"{folder / CARD_NAME}: files: {LEARNING_NAME} is not described")
        for name, described in card.files.items():
            _read_file(folder / name, described)
    except OSError as error:
        raise ModelError(f"{model}: {error.strerror or error}") from None
    return Bundle(folder, card)


def shipped_models() -> list[str]:
    """Return the names of the models that are part of the package."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CARD_NAME}"))


def write_bundle(folder: str | Path, card: ModelCard, files: dict[str, bytes]) -> Bundle:
    """Write a folder: each file beside itself and renamed, ``model.json`` (with sizes and hashes) last.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there.
    card : ModelCard
        Its `files` are filled in here.
    files : dict of str to bytes
        By name; the running form may be missing.

    Raises
    ------
    RibocastError
        If the folder cannot be written to, or what was to be written could not be read again.
    """
    folder = Path(folder)
    described = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    text = json.dumps({**card.model_dump(), "files": described}, indent=2, ensure_ascii=False) + "\n"
    card = _parse_card(text, folder / CARD_NAME)
    make_folder(folder)
    try:
        # An old card must not stand beside new weights if we are stopped in between, nor an old graph afterwards.
        for name in (CARD_NAME, *({RUNNING_NAME} - files.keys())):
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror or error}") from None
    for name, data in [*files.items(), (CARD_NAME, text.encode())]:
        with whole_file(folder / name) as partial:
            partial.write_bytes(data)
    return Bundle(folder, card)


def _read_card(path: Path) -> ModelCard:
    if not path.is_file() and not path.is_symlink():
        raise ModelError(f"{path.parent}: not a trained model: it has no {CARD_NAME}")
    with _open_regular(path) as file:
        content = file.read(_LARGEST_CARD + 1)
    if len(content) > _LARGEST_CARD:
        raise ModelError(f"{path}: is more than {_LARGEST_CARD:,} bytes, the maximum")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise ModelError(f"{path}: not valid JSON: it is not UTF-8") from None
    return _parse_card(text, path)


def _parse_card(text: str, path: Path) -> ModelCard:
    try:
        card = parse_json(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not valid JSON: {_said(error)}") from None
    version = card.get("format_version") if isinstance(card, dict) else None
    if version != FORMAT_VERSION:
        raise ModelError(f"{path}: format_version is {version!r}; this ribocast reads {FORMAT_VERSION}")
    try:
        return ModelCard.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))[:200] or "model"
        raise ModelError(f"{path}: {where}: {first['msg']}") from None


def parse_json(text: str) -> Any:
    """Read JSON that has one meaning and nothing that a terminal would obey.

    Raises
    ------
    ValueError, RecursionError
        Where it is not JSON, gives a name twice, or has a number that is not finite, or text with control characters.
    """
    value = json.loads(
        text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_each_once
    )  # fmt: skip
    _refuse_control(value)
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number of JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits:.20} is too large a number")
    return number


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r:.80} is given twice")
    return found


def _refuse_control(value: Any) -> None:
    if isinstance(value, dict):
        for entry in value.items():
            _refuse_control(entry)
    elif isinstance(value, list | tuple):
        for entry in value:
            _refuse_control(entry)
    elif isinstance(value, str) and not is_safe(value):
        raise ValueError(f"{value!r:.80} has control characters")


def _said(error: Exception) -> str:
    return "too deep" if isinstance(error, RecursionError) else str(error)[:200]


def _open_regular(path: Path) -> BinaryIO:
    """Open a file, unless it is a link, which may lead elsewhere, or a pipe or device, which need not end."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    refusal = ModelError(f"{path.parent}: {path.name} is missing, or is a link or no regular file")
    if path.is_symlink():
        raise refusal
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT, errno.EISDIR, errno.ENXIO):
            raise refusal from None
        raise
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise refusal
    return file


def _read_file(path: Path, described: FileCard) -> bytes:
    with _open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size != described.size:
            raise ModelError(f"{path}: {size} bytes, but model.json says {described.size}")
        # No byte more than described, should it grow.
        data = file.read(described.size)
    if hashlib.sha256(data).hexdigest() != described.sha256:
        raise ModelError(f"{path}: its SHA-256 differs from that in model.json")
    return data
