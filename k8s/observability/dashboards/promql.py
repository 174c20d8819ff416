"""The shapes of query that panels are made of."""

NAMESPACE = 'namespace=~"$namespace"'
CUSTOMERS = 'service=~"PaymentService|PlayerService"'
"""What customers call."""
PROMPT = 'service!~".+Workflow|DepositFollowUp"'
"""All but what waits for people and for the provider, which takes as long as these take."""


def series(name: str, *matchers: str) -> str:
    """All series of a name in the chosen namespaces."""
    return f"{name}{{{','.join((NAMESPACE, *matchers))}}}"


def total(name: str, *matchers: str, by: str = "") -> str:
    """A sum over pods."""
    return f"sum{_by(by)} ({series(name, *matchers)})"


def a_second(name: str, *matchers: str, by: str = "") -> str:
    """How fast a counter grows."""
    return f"sum{_by(by)} (rate({series(name, *matchers)}[$__rate_interval]))"


def a_minute(name: str, *matchers: str, by: str = "") -> str:
    """How fast a counter grows, for people."""
    return f"60 * {a_second(name, *matchers, by=by)}"


def over_range(name: str, *matchers: str, by: str = "") -> str:
    """How much a counter has grown in the time that is looked at."""
    return f"sum{_by(by)} (increase({series(name, *matchers)}[$__range]))"


def quantile(share: float, name: str, *matchers: str, by: str = "") -> str:
    """Below this many seconds ended this share of what a histogram has seen; no answer if it saw nothing."""
    buckets = a_second(f"{name}_bucket", *matchers, by=f"le,{by}" if by else "le")
    return f"histogram_quantile({share}, {buckets}) >= 0"


def age(name: str, *matchers: str, by: str = "") -> str:
    """How long ago the oldest of these times was, in seconds."""
    return f"time() - min{_by(by)} ({series(name, *matchers)})"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
