"""The payment provider and the mail server that the settings describe, for the service and for the bookkeeper."""

from datetime import timedelta

from app.providers.messages import Access, SmtpMailer
from app.providers.payments import HttpPaymentProvider, credentials
from app.providers.webhooks import Signatures
from app.settings import Settings


def provider_of(settings: Settings, url: str | None = None) -> HttpPaymentProvider:
    """The payment provider, to which each request tells who we are."""
    key = credentials(settings.provider_key, settings.provider_key_header)
    signatures = Signatures(settings.webhook_secret, timedelta(seconds=settings.webhook_tolerance_seconds))
    return HttpPaymentProvider(url or settings.provider_url, settings.provider_timeout_seconds, key, signatures)


def mailer_of(settings: Settings) -> SmtpMailer:
    """The mail server, spoken to as the operator says."""
    access = Access(settings.smtp_security, settings.smtp_user, settings.smtp_password, settings.smtp_ca_file)
    timeout_seconds = settings.smtp_timeout_seconds
    return SmtpMailer(settings.smtp_host, settings.smtp_port, settings.mail_from, timeout_seconds, access)
