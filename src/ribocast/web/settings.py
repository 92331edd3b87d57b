"""What a server may be told: where it listens, what it serves, and how much it takes of whom."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from ribocast.errors import OptionError, RibocastError
from ribocast.web.clients import Proxies

PREFIX = "RIBOCAST_"
_SHORTEST_TOKEN = 16
_LISTS = ("models", "allowed_hosts")


class Settings(BaseModel):
    """Each is also read from the environment, as ``RIBOCAST_`` and its name in capitals; see docs/serving.md."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="Address to listen on.")
    port: int = Field(7860, ge=0, le=65535, description="Port; 0 takes a free one.")
    models: tuple[str, ...] = Field((), description="Folders or shipped models, the first is preselected; else all.")
    threads: int | None = Field(None, ge=1, le=1024, description="CPU threads; all cores without it.")
    token: SecretStr | None = Field(None, description="What clients must know; 16 letters at least.")
    auth: bool = Field(True, description="Whether a token is demanded beyond this machine.")
    allowed_hosts: tuple[str, ...] = Field((), description="Names that clients may call this server by; * is any.")
    trusted_proxy: str = Field(
        "", description="Proxies whose X-Forwarded-For is believed: how many, or their addresses, networks or names."
    )
    frame_ancestors: str = Field("'none'", pattern=r"^[^;,\r\n]+$", description="Sites that may show the page inside.")
    page: bool = Field(True, description="Whether there is a page, beside the API.")
    batching: bool = Field(True, description="Whether calls at the same time are predicted together.")
    log_sequences: bool = Field(False, description="Whether the log may hold sequences.")

    max_body_bytes: int = Field(5_000_000, ge=1_000, description="Of a request, or an uploaded file as it is sent.")
    max_unpacked_bytes: int = Field(20_000_000, ge=1_000, description="Of an uploaded file, unpacked.")
    body_seconds: float = Field(30.0, gt=0, description="For a request to arrive.")
    max_sequences: int = Field(10_000, ge=1, description="Sequences (or pairs) in a call.")
    max_length: int = Field(5_000, ge=1, le=100_000, description="Letters of a sequence.")
    max_letters: int = Field(1_000_000, ge=1, description="Letters of all sequences in a call.")
    max_explain_letters: int = Field(1_000_000, ge=1, description="Letters of all changed sequences of an explanation.")
    calls_per_minute: int = Field(600, ge=0, description="Of a client; 0 means no limit.")
    calls_at_once: int = Field(256, ge=1, description="Of all clients.")
    calls_per_client_at_once: int = Field(64, ge=1, description="Of a client.")
    explains_waiting: int = Field(32, ge=0, description="Explanations and scores of variants that may wait; 2 run.")
    explains_per_client: int = Field(8, ge=1, description="Of these, of a client.")
    guesses_per_minute: int = Field(10, ge=1, description="Wrong tokens of a client; then none is looked at.")
    connections_at_once: int = Field(1_000, ge=8, description="Of all clients; fewer where the system allows fewer.")
    connections_per_client: int = Field(100, ge=1, description="Of a client that is not a trusted proxy.")
    header_seconds: float = Field(10.0, gt=0, description="For the first line and the headers of a request to arrive.")
    answer_seconds: float = Field(30.0, gt=0, description="Without 64 kB of an answer taken, it is ended.")
    max_designs: int = Field(200, ge=1, le=10_000, description="Designs of a job, over all its targets.")
    max_budget: int = Field(200_000, ge=1, description="Predictions of a job.")
    max_design_length: int = Field(300, ge=1, description="Letters of a design.")
    job_seconds: float = Field(300.0, gt=0, description="A job ends then, with what it has found.")
    unasked_job_seconds: float = Field(120.0, gt=0, description="A job nobody asks about for this long is cancelled.")
    jobs_at_once: int = Field(2, ge=1, description="Jobs that run; more wait.")
    jobs_waiting: int = Field(20, ge=0, description="Jobs that may wait.")
    jobs_per_client: int = Field(4, ge=1, description="Jobs of a client that run and wait.")
    keep_job_seconds: float = Field(3600.0, gt=0, description="How long a job's result is kept.")
    shutdown_seconds: float = Field(20.0, ge=0, description="For running jobs to finish when the server is stopped.")

    @field_validator("token")
    @classmethod
    def _long_enough(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and len(token.get_secret_value()) < _SHORTEST_TOKEN:
            raise ValueError(f"a token must have at least {_SHORTEST_TOKEN} characters")
        return token

    @field_validator("trusted_proxy")
    @classmethod
    def _known(cls, proxies: str) -> str:
        try:
            Proxies(proxies)
        except RibocastError as error:
            raise ValueError(str(error)) from None
        return proxies

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches the server."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def read_settings(environment: Mapping[str, str], **given: Any) -> Settings:
    """Make settings of the environment, and of what is given (not None), which comes first.

    Raises
    ------
    RibocastError
        For a value that cannot be, and for an address that others reach without a token, unless `auth` is false.
    """
    found: dict[str, Any] = {}
    for name in Settings.model_fields:
        text = environment.get(PREFIX + name.upper())
        if text:
            found[name] = tuple(part.strip() for part in text.split(",") if part.strip()) if name in _LISTS else text
    found |= {name: value for name, value in given.items() if value is not None}
    try:
        settings = Settings.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = str(first["loc"][0])
        raise OptionError(f"setting {name} ({PREFIX}{name.upper()}): {first['msg']}") from None
    if settings.auth and settings.token is None and not settings.is_local:
        raise OptionError(
            f"--host {settings.host} lets others in: set {PREFIX}TOKEN to what they must know, or give --no-auth"
        )
    return settings
