"""An object store with as much of S3 as Restate's snapshots need: objects, lists, parts, and conditional writes."""

import hashlib
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

HOST = "127.0.0.1"
XML = "application/xml"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "checks-it"}


class ObjectStore:
    """What is stored, by path, and where it is asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[str, bytes] = {}
        self.read: list[str] = []
        """The objects that were given out, in that order."""
        self.parts: dict[str, dict[int, bytes]] = {}
        """Of uploads that are not complete."""
        self.uploads = itertools.count()
        self.lock = threading.Lock()


@contextmanager
def object_store() -> Iterator[ObjectStore]:
    """Start one on a free port; all that it has goes in the end."""
    server = ThreadingHTTPServer((HOST, 0), _Asked)
    server.daemon_threads = True
    server.store = ObjectStore(f"http://{HOST}:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.store  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Asked(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        store, (path, query), body = self._store, self._where(), self._body()
        if "uploadId" in query:
            store.parts[query["uploadId"]][int(query["partNumber"])] = body
            return self._answer(200, etag=_etag(body))
        return self._keep(path, body)

    def do_POST(self) -> None:
        store, (path, query), _ = self._store, self._where(), self._body()
        if "uploadId" in query:
            parts = store.parts.pop(query["uploadId"])
            return self._keep(path, b"".join(parts[number] for number in sorted(parts)), XML, "Complete")
        upload = f"upload-{next(store.uploads)}"
        store.parts[upload] = {}
        told = f"<UploadId>{upload}</UploadId><Bucket>b</Bucket><Key>{escape(path)}</Key>"
        return self._answer(200, f"<InitiateMultipartUploadResult>{told}</InitiateMultipartUploadResult>".encode(), XML)

    def do_GET(self) -> None:
        path, query = self._where()
        if "list-type" in query:
            return self._list(path.rstrip("/") + "/", query.get("prefix", ""), query.get("delimiter", ""))
        found = self._store.objects.get(path)
        if found is None:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", XML)
        if self.command == "GET":
            self._store.read.append(path)
        if wanted := self.headers.get("range"):
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last or len(found)), len(found) - 1)
            span = f"bytes {begin}-{end}/{len(found)}"
            return self._answer(206, found[begin : end + 1], etag=_etag(found), span=span)
        return self._answer(200, found, etag=_etag(found))

    do_HEAD = do_GET  # noqa: N815

    def do_DELETE(self) -> None:
        path, query = self._where()
        if "uploadId" in query:
            self._store.parts.pop(query["uploadId"], None)
        else:
            self._store.objects.pop(path, None)
        self._answer(204)

    def _keep(self, path: str, body: bytes, kind: str = "", wrapped: str = "") -> None:
        """Store an object, if that is as the writer thought."""
        with self._store.lock:
            there = self._store.objects.get(path)
            absent, same = self.headers.get("if-none-match"), self.headers.get("if-match")
            if (absent == "*" and there is not None) or (same and (there is None or _etag(there) != same)):
                return self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>", XML)
            self._store.objects[path] = body
        told = f"<CompleteMultipartUploadResult><ETag>{escape(_etag(body))}</ETag></CompleteMultipartUploadResult>"
        return self._answer(200, told.encode() if wrapped else b"", kind, _etag(body))

    def _list(self, bucket: str, prefix: str, delimiter: str) -> None:
        found = {path.removeprefix(bucket): body for path, body in sorted(self._store.objects.items())}
        keys, folders = [], set()
        for key, body in found.items():
            if not key.startswith(prefix):
                continue
            head, cut, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
            if cut:
                folders.add(prefix + head + cut)
            else:
                keys.append(
                    f"<Contents><Key>{escape(key)}</Key><Size>{len(body)}</Size><ETag>{escape(_etag(body))}</ETag>"
                    "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                )
        common = (f"<CommonPrefixes><Prefix>{escape(name)}</Prefix></CommonPrefixes>" for name in sorted(folders))
        told = f"<KeyCount>{len(keys)}</KeyCount><IsTruncated>false</IsTruncated>{''.join(keys)}{''.join(common)}"
        self._answer(200, f"<ListBucketResult>{told}</ListBucketResult>".encode(), XML)

    @property
    def _store(self) -> ObjectStore:
        store: ObjectStore = self.server.store  # type: ignore[attr-defined]
        return store

    def _where(self) -> tuple[str, dict[str, str]]:
        asked = urlsplit(self.path)
        return unquote(asked.path), {name: values[0] for name, values in parse_qs(asked.query, True).items()}

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("content-length") or 0))

    def _answer(self, status: int, body: bytes = b"", kind: str = "", etag: str = "", span: str = "") -> None:
        self.send_response(status)
        said = {"content-type": kind, "etag": etag, "content-range": span}
        for name, value in (*said.items(), ("last-modified", "Thu, 01 Jan 2026 00:00:00 GMT")):
            if value:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


def _etag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
