"""All dashboards there are."""

from k8s.observability.dashboards.betting import BETTING
from k8s.observability.dashboards.restate import RESTATE
from k8s.observability.dashboards.versions import VERSIONS

ALL = (BETTING, VERSIONS, RESTATE)
