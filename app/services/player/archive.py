"""The archive of operations that ended and left a player's document. ArchiveBucket indexes all but the newest pages.

A reader finds everything that was archived:

1. A player's object sends a page or a bucket's additions before it stores the index that no longer names them.
2. Messages from the player's object to one bucket or page arrive in the order in which they were sent.
3. Buckets and pages handle one message at a time, reads included, so a read that follows from the stored index is
   handled after the write that it depends on.
"""

import zlib
from collections import defaultdict
from collections.abc import Iterable

import restate
from restate.serde import Serde

from app.domain.archive import ArchiveFilter, ArchiveIndex, Bucket, Operations, bucket_of, hash_of, name_of
from app.domain.archive_pages import ArchivePage
from app.domain.model import Wire
from app.domain.player import Bet, Deposit, Withdrawal
from app.services.player import statements
from app.services.shell.access import passed_on
from app.services.shell.observed import observed
from app.services.shell.requests import requests_checked
from app.services.shell.wire import FORGET_AT_ONCE, Document, UnreadableError

archive_bucket = restate.VirtualObject(
    "ArchiveBucket",
    journal_retention=FORGET_AT_ONCE,
    ingress_private=True,
    invocation_context_managers=[observed, requests_checked],
)


class Packed(Serde[ArchiveFilter]):
    """Serializes an archive filter as its packed bytes."""

    def deserialize(self, buf: bytes) -> ArchiveFilter:
        """Read a filter. UnreadableError for what is none."""
        try:
            known = ArchiveFilter.unpacked(buf)
        except zlib.error:
            raise UnreadableError("its ArchiveFilter cannot be unpacked") from None
        if not known.bits:
            raise UnreadableError("its ArchiveFilter is empty")
        return known

    def serialize(self, obj: ArchiveFilter | None) -> bytes:
        """Write a filter."""
        return b"" if obj is None else obj.packed()


INDEX = "archive"
FILTER = "archive-filter"
BUCKET = "bucket"
_INDEX = Document(ArchiveIndex)
_FILTER = Packed()
_BUCKET = Document(Bucket)


class Wanted(Wire):
    """Hashes of operation ids to look up in a bucket."""

    hashes: list[str]


def bucket_key(user_id: str, bucket: str) -> str:
    """The key of a player's bucket. The bucket is one character, so two players' keys never collide."""
    return f"{user_id}:{bucket}"


@archive_bucket.handler(name="add")
async def add(ctx: restate.ObjectContext, added: Bucket) -> None:
    """Add to the index: for each hash, the archive pages that hold it. Nothing is ever removed."""
    known = await ctx.get(BUCKET, serde=_BUCKET) or Bucket()
    ctx.set(BUCKET, known.with_more(added), serde=_BUCKET)


@archive_bucket.handler(name="lookUp")
async def look_up(ctx: restate.ObjectContext, wanted: Wanted) -> Bucket:
    """Return the archive pages for some hashes. Exclusive, so that it waits for writes that are in flight."""
    return (await ctx.get(BUCKET, serde=_BUCKET) or Bucket()).of(wanted.hashes)


async def put_away(ctx: restate.ObjectContext, page: ArchivePage) -> None:
    """Archive a page of operations that leave the player's document. Store the document only after this."""
    index = (await ctx.get(INDEX, serde=_INDEX) or ArchiveIndex()).with_page(page.names)
    ctx.object_send(statements.keep_archive, statements.archive_key(ctx.key(), len(index.pages)), page)
    kept, moved = index.move_old()
    if moved:
        for bucket, added in moved.items():
            ctx.object_send(add, bucket_key(ctx.key(), bucket), added)
        known = await _filter(ctx, index)
        ctx.set(FILTER, known.with_buckets(moved), serde=_FILTER)
    ctx.set(INDEX, kept, serde=_INDEX)


async def recall(
    ctx: restate.ObjectContext | restate.ObjectSharedContext, kind: Operations, ids: Iterable[str]
) -> dict[str, Deposit | Withdrawal | Bet]:
    """Return those of the given operations that are archived, as they were when they last left the document."""
    hashes = {operation_id: hash_of(name_of(kind, operation_id)) for operation_id in ids}
    index = await ctx.get(INDEX, serde=_INDEX) or ArchiveIndex()
    pages = {page for hashed in hashes.values() for page in index.pages_of(hashed)}
    if index.has_moved:
        pages |= await _in_buckets(ctx, await _filter(ctx, index), hashes.values())
    asked = [
        ctx.object_call(statements.read_archive, statements.archive_key(ctx.key(), page), None, headers=passed_on())
        for page in sorted(pages)
    ]
    found: dict[str, Deposit | Withdrawal | Bet] = {}
    for answer in asked:
        archived = getattr(await answer, kind)
        found.update({operation_id: archived[operation_id] for operation_id in hashes if operation_id in archived})
    return found


async def _filter(ctx: restate.ObjectContext | restate.ObjectSharedContext, index: ArchiveIndex) -> ArchiveFilter:
    """The filter of what was moved to buckets. One that is lost would make operations that were archived new."""
    known = await ctx.get(FILTER, serde=_FILTER)
    if known is None and index.has_moved:
        raise UnreadableError("its ArchiveFilter is lost")
    return known or ArchiveFilter()


async def _in_buckets(
    ctx: restate.ObjectContext | restate.ObjectSharedContext, known: ArchiveFilter, hashes: Iterable[str]
) -> set[int]:
    wanted = defaultdict(list)
    for hashed in hashes:
        if known.admits(hashed):
            wanted[bucket_of(hashed)].append(hashed)
    asked = [
        ctx.object_call(look_up, bucket_key(ctx.key(), bucket), Wanted(hashes=those), headers=passed_on())
        for bucket, those in wanted.items()
    ]
    return {page for answer in asked for pages in (await answer).pages.values() for page in pages}
