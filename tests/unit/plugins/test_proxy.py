"""The way to the cluster is the one that Helm and kubectl take: Go's reading of HTTPS_PROXY and NO_PROXY."""

from __future__ import annotations

import pytest
from ansible_collections.nebari.mlflow.plugins.module_utils.kube.proxy import proxy_for

PROXY = "http://proxy:3128"
API = "https://api.example.org:6443"


@pytest.mark.parametrize(
    ("server", "no_proxy", "direct"),
    [
        (API, "", False),
        (API, "example.org", True),
        (API, ".example.org", True),
        (API, "*.example.org", True),
        (API, "other.org, API.example.org", True),
        (API, "ample.org", False),
        (API, "api.example.org:443", False),
        (API, "api.example.org:6443", True),
        (API, "*", True),
        ("https://example.org", ".example.org", False),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.2.0.0/16,example.org", False),
        ("https://10.1.2.3:6443", "10.1.2.3", True),
        ("https://[fd00::1]:6443", "fd00::/8", True),
        ("https://localhost:6443", "", True),
        ("https://127.0.0.1:40123", "", True),
        ("https://[::1]:40123", "", True),
    ],
)
def test_no_proxy_is_read_as_by_helm_and_kubectl(server: str, no_proxy: str, direct: bool) -> None:
    assert proxy_for(server, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}) == ("" if direct else PROXY)
    assert proxy_for(server, {"https_proxy": PROXY, "no_proxy": no_proxy}) == ("" if direct else PROXY)


def test_a_proxy_without_a_scheme_is_one_of_http() -> None:
    assert proxy_for(API, {"HTTPS_PROXY": "proxy:3128"}) == PROXY


def test_a_proxy_of_http_is_not_one_of_https() -> None:
    assert proxy_for(API, {"HTTP_PROXY": PROXY}) == ""
