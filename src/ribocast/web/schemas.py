"""What the API takes and gives, as pydantic models; an MRL is in ribosomes per mRNA."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from ribocast.design.request import DesignOptions
from ribocast.sequence.uorf import Start, Uorf
from ribocast.web import examples

MOST_TEXT, MOST_MOTIF_LETTERS = 200, 5_000
_UTR = examples.HBB
_CHANGED = examples.HBB_CHANGED

Sequence = Annotated[str, Field(description="5′→3′, ending right before the start codon; A, C, G, T or U, N.")]
Name = Annotated[str | None, Field(max_length=MOST_TEXT)]


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _list_of(*kinds: dict[str, Any]) -> dict[str, Any]:
    """Describe a list whose items are looked at one by one elsewhere, so that each error names its row."""
    return {"type": "array", "minItems": 1, "items": kinds[0] if len(kinds) == 1 else {"anyOf": [*kinds]}}


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class _Call(_In):
    assay: Name = Field(None, description="In which assay's units; the model's default without it.")
    model: Name = Field(None, description="One of GET /models; the first without it.")
    cut_at_start: bool = Field(
        False, description="Leave out the start codon, and what follows it, of sequences that likely hold it."
    )


class _Out(BaseModel):
    model_config = ConfigDict(protected_namespaces=(), from_attributes=True)


class RowProblem(_Out):
    """Why a row of a request cannot be used."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"row": 2, "id": "HBB", "column": "seq", "value": "ACGXT",
                                         "reason": "'X' at position 4 is not a nucleotide (A, C, G, T, U or N)"}]}
    )  # fmt: skip
    row: int = Field(description="In the request, from 1, without a header.")
    id: str | None = Field(description="What the row is called, if anything.")
    column: str
    value: str | None = Field(description="The value, shortened to 60 characters.")
    reason: str


class Problem(_Out):
    """What is wrong, as RFC 9457 spells it (application/problem+json)."""

    type: str = "about:blank"
    title: str = Field(description="The name of the status.")
    status: int
    detail: str = Field(description="One line, in the words of the command line.")
    field: str | None = Field(None, description="The part of the request that is wrong, if it is one.")
    errors: list[RowProblem] | None = Field(None, description="Rows that are wrong: the first 100.")
    errors_total: int | None = Field(None, description="How many rows are wrong.")


class Seq(_In):
    """A sequence and what it is called."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "HBB", "seq": _UTR}]})
    id: Name = None
    seq: Sequence


class PredictIn(_Call):
    """Sequences to predict."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"sequences": [{"id": "HBB", "seq": _UTR}], "assay": "egfp_human50"}]}
    )
    sequences: Annotated[list[Any], WithJsonSchema(_list_of({"type": "string"}, _ref("Seq")))] = Field(
        min_length=1, description="Sequences, or objects with seq and id."
    )
    profile: bool = Field(False, description="Add the polysome profile.")


class _Table(_Out):
    assay: str
    model: str
    unit: str
    rows: int
    offset: int
    skipped: list[RowProblem] = Field(description="Rows left out with on_error=skip: the first 100.")
    skipped_total: int


class Prediction(_Out):
    """The MRL of a sequence with a 90 % interval (null if the model has none), and what is unusual about it."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"row": 1, "id": "HBB", "seq": _UTR, "mrl": 7.979, "mrl_low": 7.529,
                                         "mrl_high": 8.395, "note": ""}]}
    )  # fmt: skip
    row: int
    id: str | None
    seq: str = Field(description="As it was read: upper case, T for U.")
    mrl: float
    mrl_low: float | None
    mrl_high: float | None
    note: str
    profile: list[float] | None = None
    input: dict[str, Any] | None = Field(None, description="The other columns of a table.")


class PredictOut(_Table):
    """Predictions, in the order of the sequences; `rows` is how many there are in all, from `offset` on they follow."""

    predictions: list[Prediction]


class ExplainIn(_Call):
    """A sequence to explain."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"seq": _UTR, "id": "HBB"}]})
    seq: Sequence
    id: Name = None
    indels: int = Field(0, ge=0, le=3, description="Also all deletions and insertions of up to this many nt.")
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


class ExplainOut(_Out):
    """The MRL of a sequence and why; of the effects of all changes, those from `offset` on."""

    id: str | None
    assay: str
    model: str
    unit: str
    seq: str
    mrl: float
    mrl_low: float | None
    mrl_high: float | None
    note: str
    profile: list[float] | None
    start: Start
    uorfs: list[Uorf]
    effects: list[ChangeOut]
    effects_total: int
    offset: int


class Pair(_In):
    """A whole 5′ UTR without and with a variant."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"id": "c.-29G>A", "ref": _UTR, "alt": _CHANGED}]})
    id: Name = None
    ref: Sequence
    alt: Sequence


class VariantsIn(_Call):
    """Pairs to score; or a VCF, and the 5′ UTRs that its CHROM names."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"pairs": [{"id": "c.-29G>A", "ref": _UTR, "alt": _CHANGED}]},
                                        {"utrs": f">HBB\n{_UTR}\n", "vcf": "HBB\t22\tc.-29G>A\tG\tA\n"}]}
    )  # fmt: skip
    pairs: Annotated[list[Any] | None, WithJsonSchema(_list_of(_ref("Pair")))] = Field(None, min_length=1)
    utrs: str | None = Field(None, description="FASTA; CHROM names a 5′ UTR by the first word of its title.")
    vcf: str | None = Field(None, description="A VCF whose POS counts from 1 at the first letter of the 5′ UTR.")
    assay: Name = Field(None, description="In which assay's units; without it, the one whose changes are calibrated.")


class VariantOut(_Out):
    """The log2 fold change of the MRL with a 90 % interval, and what the variant does to upstream starts."""

    row: int
    id: str | None
    chrom: str | None = None
    pos: int | None = None
    vcf_ref: str | None = None
    vcf_alt: str | None = None
    ref: str
    alt: str
    ref_mrl: float
    alt_mrl: float
    log2_fold_change: float | None
    log2_low: float | None
    log2_high: float | None
    consequence: str
    note: str
    input: dict[str, Any] | None = Field(None, description="The other columns of a table.")


class VariantsOut(_Table):
    """Scores, in the order of the pairs; `rows` is how many there are in all, from `offset` on they follow."""

    variants: list[VariantOut]


class DesignIn(DesignOptions):
    """Designs that are wanted, and the rules that they keep; as the options of ``ribocast design``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"target": 7.5, "n": 3, "length": 50, "forbid": ["ATG"], "gc": [0.35, 0.6],
                                         "budget": 2000}]}
    )  # fmt: skip
    model: Name = Field(None, description="One of GET /models; the first without it.")
    algorithm: Literal["genetic", "beam", "evolution"] = Field("genetic", description="How to search.")

    @field_validator("forbid", "avoid")
    @classmethod
    def _few_letters(cls, motifs: tuple[str, ...]) -> tuple[str, ...]:
        # Making ready to keep them takes time that no other limit bounds.
        if (letters := sum(map(len, motifs))) > MOST_MOTIF_LETTERS:
            raise ValueError(f"the motifs have {letters:,} letters in all; the maximum is {MOST_MOTIF_LETTERS:,}")
        return motifs


class JobOut(_Out):
    """Where a design job is; `best` has the best MRL of each target so far."""

    id: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    done: int = Field(description="Predictions so far.")
    total: int = Field(description="Predictions at most; 0 before it begins.")
    best: list[float]
    seconds: float
    error: str
    remark: str
    place: int | None = Field(description="In the queue, from 1, while it waits.")
    expires_seconds: float | None = Field(description="Until its result is deleted, once it has ended.")


class DesignsOut(_Out):
    """The designs of a job, the columns of ``ribocast design``; what is unknown is null."""

    state: Literal["done", "cancelled"]
    assay: str
    model: str
    unit: str
    predictions: int
    remarks: list[str]
    rows: int
    offset: int
    designs: list[dict[str, Any]]


class EvaluationOut(_Out):
    """How well a model did on rows it had not seen."""

    subset: str
    rows: int
    pearson_r2: float
    spearman_r: float | None
    mae: float | None


class MeasuredOut(_Out):
    """How measured MRLs of an assay are distributed: 21 quantiles, from 0 to 100 % in steps of 5 %."""

    quantiles: list[float]


class AssayOut(_Out):
    """A library or condition that a model knows."""

    name: str
    description: str
    min_length: int
    max_length: int
    unit: str
    has_interval: bool
    has_change_interval: bool
    interval_coverage: float | None
    measured: MeasuredOut | None
    accuracy: str = Field(description="How accurate the model is, in a sentence.")
    limits: str = Field(description="What it does not know, in a sentence.")
    evaluations: list[EvaluationOut]


class ModelOut(_Out):
    """A model that is served."""

    name: str
    architecture: str
    default_assay: str
    variant_assay: str
    gives_profiles: bool
    citation: str
    assays: list[AssayOut]


class ColumnOut(_Out):
    """What a column of an answer means."""

    title: str
    unit: str
    description: str


class FieldOut(_Out):
    """How a field of a design is asked for on a page, in the order of the fields."""

    label: str
    kind: Literal["text", "words", "whole", "number", "numbers", "tick"]
    example: str


class ModelsOut(_Out):
    """What is served, and the words for it: the first model is taken where a call names none."""

    version: str
    models: list[ModelOut]
    examples: dict[str, dict[str, Any]] = Field(description="An input for each call.")
    columns: dict[str, ColumnOut]
    options: dict[str, dict[str, str]] = Field(description="What each field of a request means, by call.")
    fields: dict[str, FieldOut] = Field(description="How the page asks for each field of a design.")
    limits: dict[str, float] = Field(description="How much is taken, by setting.")


class HealthOut(_Out):
    """That the server is there."""

    status: Literal["ok", "stopping"]
    version: str
