"""Fetches feeds and keeps what is new."""
from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Iterator, NamedTuple, TypeVar

log = logging.getLogger(__name__)
T = TypeVar("T")
TIMEOUT, RETRIES = 10.0, 3


class Kind(Enum):
    RSS = "rss"
    ATOM = "atom"

    @classmethod
    def guess(cls, head: bytes) -> "Kind":
        return cls.ATOM if b"<feed" in head else cls.RSS


class Entry(NamedTuple):
    title: str
    link: str


@dataclass
class Feed:
    url: str
    entries: list[Entry] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def __contains__(self, entry: Entry) -> bool:
        return entry.link in self.seen

    def add(self, *entries: Entry) -> int:
        new = [entry for entry in entries if entry not in self]
        self.entries.extend(new)
        self.seen.update(map(lambda entry: entry.link, new))
        return len(new)


class Fetcher:
    """Fetches with retries."""

    def __init__(self, session, *, parse=None):
        self._session, self._parse = session, parse or parse_feed
        self.feeds: dict[str, Feed] = {}

    async def fetch(self, url):
        for attempt in range(RETRIES):
            try:
                async with self._session.get(url, timeout=TIMEOUT) as response:
                    body = await response.read()
                    return self._store(url, self._parse(body))
            except OSError as error:
                log.warning("%s: %s (%d)", url, error, attempt)
                await asyncio.sleep(2 ** attempt)
        raise TimeoutError(url)

    def _store(self, url, entries):
        feed = self.feeds.setdefault(url, Feed(url))
        return feed.add(*entries)


def parse_feed(body: bytes) -> Iterator[Entry]:
    def text(node, name):
        child = node.find(name)
        return child.text.strip() if child is not None else ""

    import xml.etree.ElementTree as tree
    for node in tree.fromstring(body).iter("item" if Kind.guess(body) is Kind.RSS else "entry"):
        yield Entry(text(node, "title"), text(node, "link"))


@contextmanager
def quiet(level=logging.ERROR):
    before = log.level
    log.setLevel(level)
    try:
        yield
    finally:
        log.setLevel(before)


async def main(urls):
    counts = defaultdict(int)
    fetcher = Fetcher(await open_session())
    with quiet():
        for url, new in zip(urls, await asyncio.gather(*[fetcher.fetch(u) for u in urls])):
            counts[url] += new
    print({url: count for url, count in sorted(counts.items())})
