"""What the API takes and gives, as pydantic models; loads are ribosomes per mRNA."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

MOST_TEXT = 200
_LEADER = "ACATTTGCTTCTGACACAACTGTGTTCACTAGCAACCTCAAACAGACACC"
_CHANGED = "ACATTTGCTTCTGACACAACTATGTTCACTAGCAACCTCAAACAGACACC"

Sequence = Annotated[str, Field(description="5′→3′, ending right before the start codon; A, C, G, T or U, N.")]
Name = Annotated[str | None, Field(max_length=MOST_TEXT)]
Share = Annotated[float, Field(ge=0, le=1)]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Out(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Problem(_Out):
    """What is wrong, in one line, and with which field of the request, if with one."""

    error: str
    field: str | None = None


class PredictIn(_In):
    """Sequences to predict."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sequences": [_LEADER], "assay": None}]})
    sequences: list[Sequence] = Field(min_length=1)
    assay: Name = Field(None, description="On whose scale; the model's default without it.")
    model: Name = Field(None, description="One of GET /models; the first without it.")
    profile: bool = Field(False, description="Add the polysome profile.")


class Prediction(_Out):
    """A sequence's load with a 90 % interval (null if the model has none), and what is unusual about it."""

    seq: str
    mrl: float
    mrl_low: float | None
    mrl_high: float | None
    note: str
    profile: list[float] | None = None


class PredictOut(_Out):
    """Predictions, in the order of the sequences."""

    assay: str
    model: str
    predictions: list[Prediction]


class ExplainIn(_In):
    """A sequence to explain."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"sequence": _LEADER}]})
    sequence: Sequence
    assay: Name = None
    model: Name = None
    indels: int = Field(0, ge=0, le=3, description="Also deletions and insertions of up to so many nt.")
    near_cognates: bool = Field(False, description="List upstream CTG, GTG, TTG and the like too.")


class ChangeOut(_Out):
    """A small change: −1 is the last base; of an insertion, the base that follows."""

    position: int
    kind: str
    ref: str
    alt: str
    mrl: float
    change: float
    log2_fold_change: float | None
    consequence: str


class StartOut(_Out):
    """The context of the start codon."""

    context: str
    strength: str
    score: float


class UorfOut(_Out):
    """An upstream start codon and the reading frame it opens."""

    codon: str
    position: int
    frame: int
    context: str
    strength: str
    score: float
    stop: int | None
    kind: str


class ExplainOut(_Out):
    """The load of a sequence and why."""

    assay: str
    model: str
    seq: str
    mrl: float
    mrl_low: float | None
    mrl_high: float | None
    note: str
    profile: list[float] | None
    start: StartOut
    uorfs: list[UorfOut]
    effects: list[ChangeOut]


class Pair(_In):
    """A whole UTR without and with a variant."""

    ref: Sequence
    alt: Sequence


class VariantsIn(_In):
    """Pairs to score."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"pairs": [{"ref": _LEADER, "alt": _CHANGED}]}]})
    pairs: list[Pair] = Field(min_length=1)
    assay: Name = Field(None, description="Without it, the one whose changes are calibrated.")
    model: Name = None


class VariantOut(_Out):
    """The log2 fold change of the load with a 90 % interval, and what it does to upstream starts."""

    ref: str
    alt: str
    ref_mrl: float
    alt_mrl: float
    log2_fold_change: float | None
    log2_low: float | None
    log2_high: float | None
    consequence: str
    note: str


class VariantsOut(_Out):
    """Scores, in the order of the pairs."""

    assay: str
    model: str
    variants: list[VariantOut]


class DesignIn(_In):
    """Designs that are wanted, and the rules that they keep; as the options of ``ribocast design``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"target": 7.5, "n": 3, "length": 50, "forbid": ["ATG"], "budget": 2000}]}
    )
    target: float | list[float] | None = Field(None, description="Wanted loads; the highest without it.")
    n: int = Field(10, ge=1, description="Designs of each target.")
    assay: Name = None
    model: Name = None
    length: int | tuple[int, int] | None = Field(None, description="Letters, or the fewest and the most.")
    template: str | None = Field(None, max_length=2_000, description="IUPAC letters.")
    like: str | None = Field(None, max_length=2_000, description="Stay near to this sequence.")
    max_edits: int | None = Field(None, ge=0, le=2_000)
    keep_start: int = Field(0, ge=0, le=2_000)
    keep_end: int = Field(0, ge=0, le=2_000)
    forbid: list[Annotated[str, Field(max_length=50)]] = Field([], max_length=100, description="Motifs, IUPAC letters.")
    avoid: list[Annotated[str, Field(max_length=50)]] = Field([], max_length=100, description="As far as possible.")
    forbid_sites: list[Annotated[str, Field(max_length=50)]] = Field([], max_length=100, description="Enzymes.")
    no_near_cognates: bool = False
    no_stops: bool = False
    gc: tuple[Share, Share] | None = Field(None, description="Share of G and C.")
    gc_window: tuple[Share, Share, Annotated[int, Field(ge=1, le=2_000)]] | None = Field(
        None, description="The same in every window of so many nt."
    )
    max_run: int | None = Field(None, ge=1, le=2_000)
    no_repeat: int | None = Field(None, ge=1, le=2_000)
    min_distance: int = Field(1, ge=1, le=2_000)
    free_energy: tuple[float, float] | None = Field(None, description="kcal/mol.")
    adapter: str | None = Field(None, max_length=2_000, description="What stands before; else the assay's.")
    cds: str | None = Field(None, max_length=20_000, description="The coding sequence that follows; else the assay's.")
    algorithm: Literal["genetic", "beam", "evolution"] = "genetic"
    budget: int | None = Field(None, ge=1, description="Predictions at most.")
    pessimism: float = Field(1.0, ge=0, le=1e6)
    naturalness: float = Field(0.1, ge=0, le=1e6)
    seed: int = Field(0, ge=0, le=2**63 - 1)


class JobOut(_Out):
    """Where a design job is; `best` has the best load of each target so far."""

    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int
    total: int
    best: list[float]
    seconds: float
    error: str
    remark: str


class DesignsOut(_Out):
    """The designs of a job, the columns of ``ribocast design``; what is unknown is null."""

    state: Literal["done", "cancelled"]
    assay: str
    model: str
    predictions: int
    remarks: list[str]
    designs: list[dict[str, Any]]


class FigureOut(_Out):
    """How well a model did on rows it had not seen."""

    subset: str
    rows: int
    pearson_r2: float
    spearman_r: float | None
    mae: float | None


class AssayOut(_Out):
    """A library or condition that a model knows."""

    name: str
    description: str
    min_length: int
    max_length: int
    unit: str
    has_interval: bool
    has_change_interval: bool
    figures: list[FigureOut]


class ModelOut(_Out):
    """A model that is served."""

    name: str
    architecture: str
    default_assay: str
    gives_profiles: bool
    citation: str
    assays: list[AssayOut]


class ModelsOut(_Out):
    """The models that are served; the first is taken where a call names none."""

    models: list[ModelOut]


class HealthOut(_Out):
    """That the server is there."""

    status: Literal["ok", "stopping"]
    version: str
