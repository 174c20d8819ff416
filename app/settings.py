"""Everything an operator can set, read from the environment once, by the composition root."""

import os
import re
import ssl
from collections.abc import Callable, Iterator
from email.utils import getaddresses
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.currency import CurrencyAmounts
from app.domain.model import DEFAULT_CURRENCY, Currency

GONE = {
    "BETTING_REFUSED_PAYMENT_METHODS": "name what is taken in BETTING_PAYMENT_METHODS instead, and unset this variable",
}
"""Variables of earlier versions: what they say would be ignored in silence."""


def _at_least(least: int, may_be_empty: bool = False) -> Callable[[CurrencyAmounts], CurrencyAmounts]:
    """A check of a setting that names an amount for one currency or more, or perhaps for none."""

    def check(amounts: CurrencyAmounts) -> CurrencyAmounts:
        if amounts.smallest is None:
            if may_be_empty:
                return amounts
            raise PydanticCustomError("no_amount", "Input should name an amount")
        if amounts.smallest < least:
            why = "Input should be greater than or equal to {least}"
            raise PydanticCustomError("too_small", why, {"least": least})
        return amounts

    return check


class Settings(BaseSettings):
    """The settings of the service. Each field is the environment variable BETTING_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix="BETTING_", frozen=True)

    default_currency: Currency = Field(
        DEFAULT_CURRENCY,
        description="Currency where none is named, and of amounts here without one; keep it once there are players",
    )
    default_weekly_deposit_limit: Annotated[CurrencyAmounts, AfterValidator(_at_least(0)), NoDecode] = Field(
        CurrencyAmounts(bare=10_000),
        description="Weekly deposit limit of players without a setting of their own, minor units by currency",
    )
    review_threshold: Annotated[CurrencyAmounts, AfterValidator(_at_least(1)), NoDecode] = Field(
        CurrencyAmounts(bare=100_000), description="Withdrawals from here on are reviewed, minor units by currency"
    )
    review_timeout_seconds: float = Field(
        86_400, gt=0, description="An undecided review gives the money back after this, seconds"
    )
    idempotency_seconds: float = Field(
        7200, gt=0, description="An idempotency key gets the same answer for so long, where no id of ours does, seconds"
    )
    charge_wait_seconds: float = Field(
        25, gt=0, description="How long deposit waits before it answers pending, seconds"
    )
    provider_url: str = Field("http://127.0.0.1:9090", description="Base URL of the payment provider")
    provider_key: str = Field(
        "", repr=False, description="Tells the provider who we are, with every request; empty: it does not ask"
    )
    provider_key_header: str = Field(
        "Authorization",
        description="The header that the key goes in: a bearer token in Authorization, as it is in any other",
    )
    provider_timeout_seconds: float = Field(
        10, gt=0, description="How long one request to the provider may take, seconds"
    )
    provider_window_seconds: float = Field(
        72_000, gt=0, description="How long the provider recognises a repeated charge or payout, seconds"
    )
    lookup_seconds: Annotated[tuple[float, ...], NoDecode] = Field(
        (10, 60, 600, 3600),
        min_length=1,
        description="Pauses between look-ups of an unknown outcome; the last repeats, seconds",
    )
    unknown_deadline_seconds: float = Field(
        259_200, gt=0, description="A deposit still unknown after this ends as failed, seconds"
    )
    payment_methods: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Payment methods this operator takes, separated by commas; empty: all"
    )
    raise_cooling_off_seconds: float = Field(86_400, ge=0, description="How long a raised limit waits, seconds")
    raise_confirm_seconds: float = Field(604_800, gt=0, description="How long a raise can then be confirmed, seconds")
    reinstate_seconds: float = Field(86_400, ge=0, description="From reinstatement to being able to play, seconds")
    cash_out_margin_percent: int = Field(5, ge=0, le=100, description="What a cash-out costs, percent")
    max_payout: Annotated[CurrencyAmounts, AfterValidator(_at_least(1)), NoDecode] = Field(
        CurrencyAmounts(bare=100_000_000), description="The most one bet returns, minor units by currency"
    )
    max_payout_per_day: Annotated[CurrencyAmounts, AfterValidator(_at_least(1, may_be_empty=True)), NoDecode] = Field(
        CurrencyAmounts(),
        description="The most a player's bets return on one UTC day, minor units by currency; empty: no limit",
    )
    max_open_bets: int = Field(200, ge=1, description="The most open bets of one player")
    market_books: int = Field(
        16, ge=1, le=16, description="Shards a market is split into; never change it while markets are open"
    )
    webhook_secret: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        repr=False,
        description="Shared with the provider to sign webhooks; several that hold at once, separated by commas",
    )
    webhook_tolerance_seconds: float = Field(300, gt=0, description="How old a webhook's signature may be, seconds")
    smtp_host: str = Field("127.0.0.1", description="Mail server")
    smtp_port: int = Field(1025, ge=1, le=65_535, description="Mail server's port")
    smtp_security: Literal["none", "starttls", "tls"] = Field(
        "none",
        description="How mail is encrypted: not at all, after STARTTLS (port 587), or from the start (port 465)",
    )
    smtp_user: str = Field("", description="Who we are to the mail server; empty: it does not ask")
    smtp_password: str = Field("", validate_default=True, repr=False, description="The password of BETTING_SMTP_USER")
    smtp_ca_file: str = Field(
        "", description="File with the certificates that sign the mail server's; empty: those that the system trusts"
    )
    smtp_timeout_seconds: float = Field(10, gt=0, description="How long the mail server may take, seconds")
    mail_from: str = Field("betting@example.com", description="Sender of customer messages")
    identity_keys: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Public keys of the Restate servers that may call us (publickeyv1_...), separated by commas"
    )
    unsigned_calls: Literal["refused", "allowed"] = Field(
        "refused", description="Whether the service may run without identity keys, which lets anybody call it"
    )
    require_identity: bool = Field(
        True, description="Whether requests without a verified caller are refused, but for what is for anyone"
    )
    host: str = Field("127.0.0.1", description="Address the service listens on")
    port: int = Field(9080, ge=1, le=65_535, description="Port the service listens on")
    metrics_port: int = Field(9095, ge=0, le=65_535, description="Port of /metrics for Prometheus; 0 serves none")
    metrics_dir: str = Field(
        "",
        description="Folder where the processes of a pod keep their numbers; empty: one that goes with the process",
    )
    otel_endpoint: str = Field(
        "", description="Collector that traces go to by OTLP over HTTP, such as http://collector:4318; empty: none"
    )
    log_format: Literal["text", "json"] = Field("text", description="Logs as lines for people, or as JSON")
    version: str = Field("dev", description="What this version is called in metrics and traces")
    connection_seconds: float = Field(
        20,
        gt=0,
        description="How long a connection takes requests, before Restate opens another one, to any pod; seconds",
    )
    shutdown_grace_seconds: float = Field(
        10, gt=0, description="After SIGTERM, how long running attempts may take to end, seconds"
    )

    @classmethod
    def is_secret(cls, name: str) -> bool:
        """Whether a setting is not for screens and logs; such fields stay out of the settings' own text, too."""
        return not cls.model_fields[name].repr

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no log may tell."""
        values = [getattr(self, name) for name in type(self).model_fields if self.is_secret(name)]
        return tuple(part for value in values for part in ((value,) if isinstance(value, str) else value) if part)

    def missing(self) -> Iterator[tuple[str, str]]:
        """What the service cannot run without and no default can give: the setting, and what it needs."""
        if not self.webhook_secret:
            yield "webhook_secret", "not set; set it to the secret that the provider signs its webhooks with"
        if not self.identity_keys and self.unsigned_calls == "refused":
            yield (
                "identity_keys",
                "not set, so that anybody could call the service; set it to the public key of your Restate "
                "(publickeyv1_...), or, where nobody else can reach the service, BETTING_UNSIGNED_CALLS=allowed",
            )

    @property
    def end_seconds(self) -> float:
        """From SIGTERM to the end of the process at the latest: the grace period, and a little to close connections."""
        return self.shutdown_grace_seconds + 2

    @field_validator("provider_key")
    @classmethod
    def _fits_a_header(cls, key: str) -> str:
        if not re.fullmatch(r"[\x21-\x7e]*", key):
            raise ValueError("has blanks, line breaks or characters that are no ASCII")
        return key

    @field_validator("provider_key_header")
    @classmethod
    def _is_a_header(cls, name: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):
            raise ValueError("is no name of a header")
        return name

    @field_validator("smtp_user")
    @classmethod
    def _is_told_in_private(cls, user: str, info: ValidationInfo) -> str:
        if user and info.data.get("smtp_security") == "none":
            raise ValueError("user and password would go unencrypted; set BETTING_SMTP_SECURITY to starttls or tls")
        return user

    @field_validator("smtp_password")
    @classmethod
    def _belongs_to_a_user(cls, password: str, info: ValidationInfo) -> str:
        if bool(password) != bool(info.data.get("smtp_user", password)):
            raise ValueError("user and password go together; set both, or neither")
        return password

    @field_validator("smtp_ca_file")
    @classmethod
    def _has_certificates(cls, file: str) -> str:
        try:
            ssl.create_default_context(cafile=file or None)
        except OSError as error:
            raise ValueError(f"cannot be read as certificates: {error.strerror or error}") from None
        return file

    @field_validator("mail_from")
    @classmethod
    def _is_one_address(cls, sender: str) -> str:
        """A sender that no mail server takes would make each message undeliverable."""
        found = getaddresses([sender])
        if len(found) != 1 or not re.fullmatch(r"[\x21-\x3f\x41-\x7e]+@[\x21-\x3f\x41-\x7e]+", found[0][1]):
            raise ValueError("is not one address in ASCII, such as Betting <betting@example.com>")
        return sender

    @field_validator("identity_keys")
    @classmethod
    def _are_keys(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not _is_public_key(key):
                raise ValueError(
                    f"{key[:80]!r} is no public key of Restate; one is publickeyv1_ and 32 bytes as base58"
                )
        return keys

    @field_validator("webhook_secret")
    @classmethod
    def _are_text(cls, secrets: tuple[str, ...]) -> tuple[str, ...]:
        if any(secret.encode(errors="replace").decode() != secret for secret in secrets):
            raise ValueError("has bytes that are no UTF-8")
        return secrets

    @field_validator("lookup_seconds", "identity_keys", "webhook_secret", "payment_methods", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value

    @field_validator("*", mode="after")
    @classmethod
    def _names_a_currency_once(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, CurrencyAmounts) and "default_currency" in info.data:
            value.resolved(info.data["default_currency"])
        return value

    @model_validator(mode="after")
    def _says_nothing_in_vain(self) -> Self:
        for name, cure in GONE.items():
            if name in map(str.upper, os.environ):
                raise PydanticCustomError("gone", "{name} is no setting any more: {cure}", {"name": name, "cure": cure})
        return self


_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_PUBLIC_KEY = re.compile(rf"publickeyv1_([{_BASE58}]{{32,44}})")
_PUBLIC_KEY_BYTES = 32


def _is_public_key(text: str) -> bool:
    """Whether it can check signatures: the SDK would say so by a traceback, and of one key at a time."""
    if (match := _PUBLIC_KEY.fullmatch(text)) is None:
        return False
    number = 0
    for digit in match[1]:
        number = number * len(_BASE58) + _BASE58.index(digit)
    leading_zeros = len(match[1]) - len(match[1].lstrip(_BASE58[0]))
    return leading_zeros + (number.bit_length() + 7) // 8 == _PUBLIC_KEY_BYTES
