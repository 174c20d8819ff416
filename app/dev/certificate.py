"""A certificate for this machine's own mail server, where the developer wants mail encrypted."""

import subprocess
from pathlib import Path

from click import ClickException

from app.dev.ports import HOST

DAYS = "3650"


def certificate(file: Path) -> Path:
    """The file with a certificate and its key, signed by itself; made once, with openssl, for its owner alone."""
    if not file.exists():
        draft = file.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"]
        content = ["-days", DAYS, "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=IP:{HOST}"]
        usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
        try:
            said = subprocess.run(  # noqa: S603, the arguments are ours
                [*command, *content, *usage, "-keyout", "-", "-out", "-"], capture_output=True, check=True
            )
        except (FileNotFoundError, subprocess.CalledProcessError) as error:
            raise ClickException(f"openssl makes the inbox's certificate, and could not: {error}") from None
        draft.write_bytes(said.stdout)
        draft.replace(file)  # in one step: half a certificate would be kept for ever
    return file
