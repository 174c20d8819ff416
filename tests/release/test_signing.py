"""The signing key, judged by the SDK that checks signatures."""

import base64
import json
import re

from click.testing import CliRunner
from restate._internal import PyIdentityVerifier  # type: ignore[import-not-found]

from app.release.cli import main
from app.release.signing import new_signing_key


def test_the_sdk_takes_the_public_key() -> None:
    private, public = new_signing_key()

    assert private.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert PyIdentityVerifier([public])


def test_every_key_is_another() -> None:
    assert len({new_signing_key()[1] for _ in range(3)}) == 3


def test_keys_have_the_form_that_settings_name() -> None:
    assert re.fullmatch(r"publickeyv1_[1-9A-HJ-NP-Za-km-z]{40,44}", new_signing_key()[1])


def test_a_new_key_can_be_made_where_no_cluster_is() -> None:
    told = CliRunner().invoke(main, ["signing-key", "betting-signing-key-2"])

    secret = json.loads(told.output)
    content = {key: base64.b64decode(value) for key, value in secret["data"].items()}
    assert (secret["kind"], secret["metadata"]["name"]) == ("Secret", "betting-signing-key-2")
    assert content["private.pem"].startswith(b"-----BEGIN PRIVATE KEY-----")
    assert PyIdentityVerifier([content["public"].decode()])
